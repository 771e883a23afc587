"""Networks that lie in a folder as the transformers library saves them: `config.json`, weights, preprocessor."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.extras import missing_package
from sysu30k_bench.models.card import Input
from sysu30k_bench.models.formats.shards import is_index, shard_files

_INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_MAX_JSON_BYTES = 1 << 20
_PROTOCOL_SIZE = (256, 128)
_MOST, _MOST_LAYERS = 1_000_000_000, 1000
"""What a number in `config.json` may be; in that of layers, transformers builds as many."""


def is_transformers_folder(path: Path) -> bool:
    """Says whether a path is a folder with a `config.json`."""
    return path.is_dir() and (path / "config.json").is_file()


def transformers_files(folder: Path) -> list[Path]:
    """Returns the files of a folder that decide what its network computes, in order of name."""
    wanted = (".safetensors", ".bin", ".json")
    return sorted(path for path in folder.iterdir() if path.suffix in wanted and path.is_file())


class TransformersTrunk(nn.Module):
    """A transformers vision model that returns one feature an image.

    The feature is the model's own pooled output, or the class token where its pooler is a layer of a task's head (a
    linear layer and tanh, as in ViT). transformers itself reads the weights, since it renames them on the way;
    safetensors, or pickles of tensors alone. No code of the folder is run.

    Args:
        folder: What `save_pretrained` wrote.

    Attributes:
        size: The height and width that the network insists on, or None where it takes the protocol's 256 x 128.

    Raises:
        DataError: transformers is not installed.
        UsageError: It makes no vision network of the folder.
        IntegrityError: Weights are missing, or of another shape.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        _check_files(folder)
        transformers = _library()
        try:
            network, info = _load(transformers, folder)
            pooler = getattr(network, "pooler", None)
            self.class_token = pooler is not None and any(isinstance(part, nn.Linear) for part in pooler.modules())
            if self.class_token:
                network, info = _load(transformers, folder, add_pooling_layer=False)
        except (ValueError, KeyError, OSError, TypeError, AttributeError, ImportError) as error:
            raise UsageError(f"transformers makes no network of {folder}: {str(error).splitlines()[0]}") from error
        faults = [f"{name}: missing" for name in sorted(info["missing_keys"])]
        faults += [f"{name[0]}: of another shape" for name in sorted(info["mismatched_keys"])]
        if faults:
            raise IntegrityError(
                f"the weights in {folder} do not fill its network", details=faults, hint="save the whole model again"
            )
        self.network = network.eval()
        size = getattr(network.config, "image_size", None)
        self.own_size: tuple[int, int] | None = (size, size) if isinstance(size, int) else None
        self.size = None if self._takes(*_PROTOCOL_SIZE) else _input_size(folder, self.own_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, D), or to a map (N, D, h, w)."""
        output: Any = self.network(pixel_values=images)
        pooled = None if self.class_token else getattr(output, "pooler_output", None)
        if pooled is None:
            hidden = output.last_hidden_state
            pooled = hidden[:, 0] if hidden.dim() == 3 else hidden
        feature: torch.Tensor = pooled
        return feature

    def _takes(self, height: int, width: int) -> bool:
        try:
            with torch.inference_mode():
                self(torch.zeros(1, 3, height, width))
        except (ValueError, RuntimeError):
            return False
        return True


def _check_files(folder: Path) -> None:
    """Refuses what transformers would believe: weights outside of the folder, and numbers that would keep it busy.

    Raises:
        IntegrityError: An index leads out of the folder, or `config.json` describes no network that exists.
    """
    for path in sorted(filter(is_index, folder.iterdir())):
        with suppress(DataError):  # files of another framework's index may be missing
            shard_files(path)
    waiting: list[tuple[str, object]] = [("", _json_object(folder / "config.json"))]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in value]
        elif isinstance(value, (int, float)) and value > (
            _MOST_LAYERS if "layer" in name or "depth" in name else _MOST
        ):
            raise IntegrityError(f"{folder / 'config.json'}: {name} is {value:,}, as in no network")


def _load(transformers: Any, folder: Path, **options: bool) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    kind = transformers.AutoModel
    if hasattr(config, "vision_config"):  # of two towers, the one that sees
        kind = getattr(transformers, type(config).__name__.replace("Config", "VisionModel"))
    network, info = kind.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, output_loading_info=True, **options
    )
    return network, info


def transformers_input(folder: Path, size: tuple[int, int] | None) -> Input:
    """Reads a folder's `preprocessor_config.json`: mean, deviation, interpolation; what it does not say is ImageNet's.

    Args:
        folder: The folder.
        size: The height and width that the network insists on; the protocol's where None.

    Raises:
        IntegrityError: The file is damaged.
    """
    said = _preprocessor(folder)
    height, width = size or _PROTOCOL_SIZE
    chosen: dict[str, object] = {"height": height, "width": width}
    if said.get("image_mean") and said.get("do_normalize", True):
        chosen |= {"mean": said["image_mean"], "std": said.get("image_std")}
    if said.get("resample") in _INTERPOLATIONS:
        chosen["interpolation"] = _INTERPOLATIONS[said["resample"]]
    try:
        return Input.model_validate(chosen)
    except ValueError as error:
        raise IntegrityError(f"{folder / 'preprocessor_config.json'} makes no sense: {chosen}") from error


def _input_size(folder: Path, own: tuple[int, int] | None) -> tuple[int, int]:
    said = _preprocessor(folder)
    size = said.get("crop_size") or said.get("size")
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    return own or (224, 224)


def _preprocessor(folder: Path) -> dict[str, Any]:
    path = folder / "preprocessor_config.json"
    return _json_object(path) if path.is_file() else {}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise IntegrityError(f"{path} is too large")
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _library() -> Any:  # noqa: ANN401  an optional package without types
    try:
        import transformers
    except ImportError as error:
        raise missing_package("transformers is not installed", "transformers") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
