"""Networks by name: from torchvision, from timm, or from a Python object."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import JsonValue
from torch import nn

from sysu30k_bench.errors import BenchError, DataError, UsageError
from sysu30k_bench.extras import missing_package
from sysu30k_bench.models.card import AdapterCard, Input, Network
from sysu30k_bench.models.matching.structure import Structure

WHOLE_MODELS = ("onnx", "openvino", "torchscript", "torchexport", "hf")
"""Kinds of file or folder that hold network and weights together."""


class RemovedLayer(nn.Identity):
    """Stands where a network's classifier was; a file may hold that classifier's tensors."""


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
    if kind == "features":
        raise UsageError(
            "this adapter has no network: neither code nor weights of the method are public",
            hint="give a features file as CHECKPOINT (docs/adapters.md)",
        )
    if kind in WHOLE_MODELS:
        raise UsageError(
            f"this adapter takes {kind} models, which hold their own network", hint="give one as CHECKPOINT"
        )
    builder = {"torchvision": _torchvision, "timm": _timm, "python": _python}[kind]
    return builder(name, network.options).eval()


def require_source(network: Network) -> None:
    """Refuses a network whose code cannot be found.

    Raises:
        UsageError: There is no network of that name, or the method's network is not public.
        DataError: The package or module that has it is not installed.
    """
    kind, _, name = network.source.partition(":")
    if kind == "python":
        _python_object(name)
    elif kind in {"timm", "features"}:
        build_trunk(network)


def structure_reader(network: Network) -> Callable[[Mapping[str, torch.Tensor]], Structure | None] | None:
    """Returns the function by which a network's class reads its options off a file; None for networks without one."""
    kind, _, name = network.source.partition(":")
    if kind != "python":
        return None
    try:
        read: Callable[[Mapping[str, torch.Tensor]], Structure | None] | None = getattr(
            _python_object(name), "structure", None
        )
    except BenchError:
        return None
    return read


def generic_card(source: str) -> AdapterCard:
    """Makes a card for `--model SOURCE:NAME`: pooled features, both views summed, input as the source says.

    Convolutional networks get the protocol's 256 x 128; networks with a fixed input size get theirs.

    Args:
        source: Such as `torchvision:resnet50` or `timm:vit_small_patch16_224`.

    Raises:
        UsageError: There is no network of that name.
        DataError: The package that has it is not installed.
    """
    if re.fullmatch(r"(torchvision|timm|python):\S+", source) is None:
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
    own = own_input(Network(source=source))
    return Input(height=own[0], width=own[1]) if own else Input()


def own_input(network: Network) -> tuple[int, int] | None:
    """Returns the height and width that a network insists on (vision transformers), or None.

    Raises:
        UsageError: There is no network of that name.
        DataError: The package that has it is not installed.
    """
    if network.source.startswith("python:"):
        return None
    trunk: Any = build_trunk(network)
    config = getattr(trunk, "pretrained_cfg", None) or {}
    if config.get("fixed_input_size", False):
        _, height, width = config["input_size"]
        return int(height), int(width)
    size = getattr(trunk, "image_size", None) if network.source.startswith("torchvision:") else None
    return (size, size) if isinstance(size, int) else None


def _torchvision(name: str, options: Mapping[str, JsonValue]) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise UsageError(f"torchvision has no classification network {name!r}", hint=_did_you_mean(name, known))
    extra: dict[str, object] = dict(options)
    if name in {"googlenet", "inception_v3"}:
        extra |= {"aux_logits": False, "init_weights": False}
    network: nn.Module = _call(models.get_model, name, {"weights": None, **extra}, name=name)
    last = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if last:
        parent, _, leaf = last[-1].rpartition(".")
        setattr(network.get_submodule(parent), leaf, RemovedLayer())
    elif isinstance(getattr(network, "classifier", None), nn.Module):  # SqueezeNet ends in a convolution
        network.classifier = nn.AdaptiveAvgPool2d(1)
    return network


def _timm(name: str, options: Mapping[str, JsonValue]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise missing_package("timm is not installed", "timm") from error
    if not timm.is_model(name):
        raise UsageError(f"timm has no network {name!r}", hint=_did_you_mean(name, timm.list_models()))
    network: Any = _call(timm.create_model, name, {"pretrained": False, "num_classes": 0, **options}, model_name=name)
    classifier = network.pretrained_cfg.get("classifier") or ()
    for path in (classifier,) if isinstance(classifier, str) else classifier:
        parent, _, leaf = path.rpartition(".")
        if isinstance(getattr(network.get_submodule(parent), leaf, None), nn.Identity):
            setattr(network.get_submodule(parent), leaf, RemovedLayer())
    checked: nn.Module = network
    return checked


def _python(name: str, options: Mapping[str, JsonValue]) -> nn.Module:
    build = _python_object(name)
    if not (inspect.isfunction(build) or (inspect.isclass(build) and issubclass(build, nn.Module))):
        raise UsageError(f"python:{name} is neither a torch.nn.Module class nor a function that makes one")
    network = _call(build, name, options)
    if not isinstance(network, nn.Module):
        raise UsageError(f"python:{name} returned a {type(network).__name__}, not a torch.nn.Module")
    return network


def _python_object(name: str) -> Any:  # noqa: ANN401
    module_name, _, attribute = name.partition(":")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise UsageError(f"python:{name} is in Python's own library, which holds no network")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"cannot find python:{name}: {error}",
            hint="name it as python:package.module:callable; the package must be installed, or on PYTHONPATH",
        ) from error


def _call(build: Callable[..., Any], shown: str, options: Mapping[str, object], **named: object) -> Any:  # noqa: ANN401
    try:
        return build(**named, **options)
    except (TypeError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        raise UsageError(
            f"{shown} cannot be built with {dict(options)}: {error}", hint="see [network] options"
        ) from error


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=5)
    return f"did you mean {', '.join(close)}?" if close else "see the package's list of models"
