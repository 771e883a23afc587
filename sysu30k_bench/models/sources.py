"""Networks by name: from torchvision, from timm, or from a Python object."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.models.card import AdapterCard, Input, Network

OptionValue = str | int | float | bool


def build_trunk(network: Network) -> nn.Module:
    """Builds a network that maps (N, 3, H, W) to pooled features (N, D), with random weights.

    torchvision's networks lose their last linear layer, timm's are made with `num_classes=0`, and a Python object
    is called with the card's options.

    Args:
        network: The card's `[network]`.

    Returns:
        The network, in evaluation mode.

    Raises:
        UsageError: There is no network of that name.
        DataError: The package that has it is not installed.
    """
    kind, _, name = network.source.partition(":")
    builder = {"torchvision": _torchvision, "timm": _timm, "python": _python}[kind]
    return builder(name, network.options).eval()


def generic_card(source: str) -> AdapterCard:
    """Makes a card for `--model SOURCE:NAME`: pooled features, both views summed, input as the source says.

    Convolutional networks get the protocol's 256 x 128; networks with a fixed input size get theirs.

    Args:
        source: Such as `torchvision:resnet50` or `timm:vit_small_patch16_224`.

    Raises:
        UsageError: There is no network of that name.
        DataError: The package that has it is not installed.
    """
    if source.partition(":")[0] not in {"torchvision", "timm", "python"} or not source.partition(":")[2]:
        raise UsageError(
            f"--model {source} is not SOURCE:NAME", hint="for example --model torchvision:resnet50 or timm:resnet50"
        )
    network = Network(source=source)
    slug = "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in source.lower()).strip("-")[:64]
    return AdapterCard(name=slug, title=source, network=network, input=_input_of(source))


def _input_of(source: str) -> Input:
    kind, _, name = source.partition(":")
    if kind == "timm":
        config: Any = _timm(name, {}).pretrained_cfg
        fixed = config.get("fixed_input_size", False)
        _, height, width = config["input_size"] if fixed else (3, 256, 128)
        interpolation = config.get("interpolation", "bicubic")
        return Input(
            height=height,
            width=width,
            interpolation=interpolation if interpolation in {"bilinear", "bicubic"} else "bicubic",
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        )
    fixed_size = getattr(build_trunk(Network(source=source)), "image_size", None) if kind == "torchvision" else None
    return Input(height=fixed_size, width=fixed_size) if isinstance(fixed_size, int) else Input()


def _torchvision(name: str, options: Mapping[str, OptionValue]) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UsageError(f"torchvision has no classification network {name!r}", hint=_did_you_mean(name, known))
    extra: dict[str, object] = dict(options)
    if name in {"googlenet", "inception_v3"}:
        extra |= {"aux_logits": False, "init_weights": False}
    network: nn.Module = models.get_model(name, weights=None, **extra)
    last = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if last:
        parent, _, leaf = last[-1].rpartition(".")
        setattr(network.get_submodule(parent), leaf, nn.Identity())
    elif isinstance(getattr(network, "classifier", None), nn.Module):  # SqueezeNet ends in a convolution
        network.classifier = nn.AdaptiveAvgPool2d(1)
    return network


def _timm(name: str, options: Mapping[str, OptionValue]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise DataError("timm is not installed", hint="pip install 'sysu30k-bench[timm]'") from error
    if not timm.is_model(name):
        raise UsageError(f"timm has no network {name!r}", hint=_did_you_mean(name, timm.list_models()))
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **options)
    return network


def _python(name: str, options: Mapping[str, OptionValue]) -> nn.Module:
    module_name, _, attribute = name.partition(":")
    try:
        build = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"cannot find python:{name}: {error}",
            hint="name it as python:package.module:callable, importable from here",
        ) from error
    network = build(**options)
    if not isinstance(network, nn.Module):
        raise UsageError(f"python:{name} returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=5)
    return f"did you mean {', '.join(close)}?" if close else "see the package's list of models"
