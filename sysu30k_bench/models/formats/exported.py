"""Whole models, weights and program together: ONNX, OpenVINO IR, TorchScript, torch.export, transformers."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError
from sysu30k_bench.extras import missing_package
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.models.card import AdapterCard, Input, Network
from sysu30k_bench.models.formats.exported_program import is_exported_program, load_exported_program
from sysu30k_bench.models.formats.transformers_folder import (
    TransformersTrunk,
    is_transformers_folder,
    transformers_files,
    transformers_input,
)
from sysu30k_bench.models.sources import WHOLE_MODELS
from sysu30k_bench.words import count, with_article

TITLES = {
    "onnx": "ONNX",
    "openvino": "OpenVINO",
    "torchscript": "TorchScript",
    "torchexport": "torch.export",
    "hf": "transformers",
}
"""What people call each of `WHOLE_MODELS`."""
SOURCES = {kind: f"{kind}:checkpoint" for kind in WHOLE_MODELS}


def exported_kind(path: Path) -> str | None:
    """Says which of `WHOLE_MODELS` a file, or for transformers a folder, is; None for anything else."""
    if is_transformers_folder(path):
        return "hf"
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return "onnx"
    if suffix == ".xml":
        return "openvino"
    if path.is_file() and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                inside = {name.partition("/")[2] for name in archive.namelist()}
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            return None  # a damaged one, which the readers of weights name
        if is_exported_program(inside):
            return "torchexport"
        if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
            return "torchscript"
    return None


class ExportedNetwork(nn.Module):
    """A whole model as a network that takes batches.

    Args:
        run: Maps a float32 array (n, 3, H, W) to features (n, D) or a map (n, D, h, w).
        fixed_batch: The batch size that the model insists on, or None.
        size: The height and width that it insists on, or None.
    """

    runs_elsewhere = True
    """By a library of its own, so that no backend can take it."""

    def __init__(
        self, run: Callable[[np.ndarray], np.ndarray], fixed_batch: int | None, size: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self._run = run
        self._fixed_batch = fixed_batch
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Runs the model on (N, 3, H, W), in pieces where its batch size is fixed; gives (N, D)."""
        pixels = np.ascontiguousarray(images.float().cpu().numpy())
        step = self._fixed_batch or len(pixels)
        parts = []
        for start in range(0, len(pixels), step):
            piece = pixels[start : start + step]
            short = step - len(piece)
            if short:
                piece = np.concatenate([piece, np.repeat(piece[-1:], short, axis=0)])
            parts.append(self._run(piece)[: step - short])
        features = np.concatenate(parts)
        if features.ndim == 4 and features.shape[2:] == (1, 1):
            features = features[:, :, 0, 0]
        return torch.from_numpy(np.ascontiguousarray(features)).to(images.device)


def load_exported(path: Path, kind: str, device: torch.device, *, bf16: bool = False) -> ExportedNetwork:
    """Loads a whole model.

    ONNX and OpenVINO models hold operators alone. TorchScript and torch.export hold a program for torch's
    interpreter: load only what you trust.

    Args:
        path: The file; an OpenVINO model's `.bin` lies beside its `.xml`.
        kind: As `exported_kind` says.
        device: Where TorchScript and torch.export models run; the others run on the CPU.
        bf16: Let OpenVINO compute in bfloat16, as it would by itself on a processor that can.

    Raises:
        DataError: The file, or the package that runs it, is missing.
        IntegrityError: The file is damaged, or is no model with one image input.
    """
    if not path.exists():
        raise DataError(f"there is no file {path}", hint="give the path of a model file")
    if bf16 and kind != "openvino":
        raise UsageError(f"{with_article(TITLES[kind])} model has its own arithmetic", hint="omit --compute bf16")
    try:
        if kind == "openvino":
            return _openvino(path, bf16=bf16)
        if kind == "hf":
            return _transformers(path, device)
        if kind == "torchexport":
            return _torchexport(path, device)
        return _onnx(path) if kind == "onnx" else _torchscript(path, device)
    except ImportError as error:
        raise missing_package(f"running {path.name} needs {error.name}", error.name or kind) from error
    except BenchError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        raise IntegrityError(
            f"{path} is damaged or no {TITLES[kind]} model: {said[0] if said else type(error).__name__}",
            hint="export the model again, and check the file with the tools of its format",
        ) from error


def exported_digest(path: Path) -> str:
    """Returns the SHA-256 of a whole model; of all its files where it has several."""
    if path.is_dir():
        parts = [f"{file.name} {sha256_of_file(file)}" for file in transformers_files(path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    weights = path.with_suffix(".bin")
    if path.suffix.lower() == ".xml" and weights.is_file():
        return hashlib.sha256((sha256_of_file(path) + sha256_of_file(weights)).encode()).hexdigest()
    return sha256_of_file(path)


def exported_card(path: Path, kind: str, network: ExportedNetwork) -> AdapterCard:
    """Makes a card for a whole model that came without one: its own input, both views summed."""
    height, width = network.size or (256, 128)
    try:
        return AdapterCard(
            name=f"{kind}-model",
            title=f"{path.resolve().name} ({TITLES[kind]})",
            network=Network(source=SOURCES[kind]),
            input=transformers_input(path, network.size) if kind == "hf" else Input(height=height, width=width),
        )
    except ValidationError as error:
        raise UsageError(f"{path} takes images of {height} x {width}, which are none of people") from error


def check_input_size(card: AdapterCard, network: ExportedNetwork) -> None:
    """Refuses a card whose input size is not the one that the model insists on.

    Raises:
        UsageError: The sizes differ.
    """
    if network.size is not None and network.size != (card.input.height, card.input.width):
        raise UsageError(
            f"the model takes images of {network.size[0]} x {network.size[1]}, and the card {card.name!r} gives "
            f"{card.input.height} x {card.input.width}",
            hint="set [input] height and width in the card",
        )


def _shape(dimensions: list[int | None]) -> tuple[int | None, tuple[int, int] | None]:
    if len(dimensions) != 4 or dimensions[1] not in {3, None}:
        raise ValueError(f"its input has the shape {dimensions}, not (N, 3, H, W)")
    batch, _, height, width = dimensions
    return batch, (height, width) if height and width else None


def _onnx(path: Path) -> ExportedNetwork:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    if len(session.get_inputs()) != 1:
        raise ValueError(f"it has {count(len(session.get_inputs()), 'input')}, not one")
    source = session.get_inputs()[0]
    batch, size = _shape([item if isinstance(item, int) and item > 0 else None for item in source.shape])
    output = session.get_outputs()[0].name
    return ExportedNetwork(lambda images: np.asarray(session.run([output], {source.name: images})[0]), batch, size)


def _openvino(path: Path, *, bf16: bool) -> ExportedNetwork:
    import openvino

    core: Any = openvino.Core()
    model = core.read_model(path)
    if len(model.inputs) != 1:
        raise ValueError(f"it has {count(len(model.inputs), 'input')}, not one")
    dimensions = [item.get_length() if item.is_static else None for item in model.inputs[0].partial_shape]
    batch, size = _shape(dimensions)
    # its default is bf16 where the processor has it; a run recorded as fp32 must be that
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"})
    return ExportedNetwork(lambda images: np.array(compiled(images)[0]), batch, size)


def _torchscript(path: Path, device: torch.device) -> ExportedNetwork:
    with warnings.catch_warnings():
        # torch says that TorchScript is deprecated, which is for whoever made the file
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
        module = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    return ExportedNetwork(_torch_runner(module, device), None, None)


def _torchexport(path: Path, device: torch.device) -> ExportedNetwork:
    module, batch, size = load_exported_program(path, device)
    return ExportedNetwork(_torch_runner(module, device), batch, size)


def _transformers(path: Path, device: torch.device) -> ExportedNetwork:
    trunk = TransformersTrunk(path)
    return ExportedNetwork(_torch_runner(trunk.to(device), device), None, trunk.size)


def _torch_runner(module: nn.Module, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            features = module(torch.from_numpy(images).to(device))
        if not isinstance(features, torch.Tensor):
            raise UsageError(f"the model returns a {type(features).__name__}, not a tensor")
        return features.float().cpu().numpy()

    return run
