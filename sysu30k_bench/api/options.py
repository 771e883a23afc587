"""The keyword arguments of `evaluate`: the options of `eval`, by the same names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ByteSize, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest, SearchRequest
from sysu30k_bench.models.card import FeatureKind, Flip
from sysu30k_bench.search.engines.choose import EngineName
from sysu30k_bench.search.engines.engine import FilterName

_INPUT = ("height", "width", "interpolation", "channels", "scale", "mean", "std")
_SEARCH = ("engine", "filter", "memory", "top_k")
_OF_FILES = (
    "adapter",
    "allow_partial",
    "backend",
    "camera",
    "control",
    "feature",
    "full_logits",
    "model",
    "network_options",
    "output",
    "shard_rows",
    "storage",
    "weights",
)
"""Options that mean nothing for a network in memory."""


def _three(value: object) -> object:
    return (value,) * 3 if isinstance(value, int | float) else value


def _plain(value: object) -> object:
    """Numpy's whole numbers are such, too; texts and truth values are none."""
    if isinstance(value, bool | str):
        raise ValueError("a whole number is wanted")
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


Positive = Annotated[int, BeforeValidator(_plain), Field(ge=1)]
Side = Annotated[int, BeforeValidator(_plain), Field(ge=16, le=4096)]
Triple = Annotated[float | tuple[float, float, float], BeforeValidator(_three)]


class EvalOptions(TypedDict, total=False):
    """Options of `eval`; `sysu30k-bench eval --help` explains each.

    Each may be None, which is the same as omitting it.
    """

    dataset: str | None
    adapter: str | Path | None
    model: str | None
    weights: str | None
    output: str | Path | None
    feature: FeatureKind | None
    flip: Flip | None
    camera: Annotated[int, Field(ge=1, le=10_000)] | None
    network_options: Mapping[str, str | int | float | bool] | None
    full_logits: bool
    height: Side | None
    width: Side | None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None
    mean: Triple | None
    std: Triple | None
    scale: Literal["unit", "byte"] | None
    channels: Literal["rgb", "bgr"] | None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,4})?)$")]
    batch_size: Positive | None
    workers: Annotated[int, BeforeValidator(_plain), Field(ge=0)] | None
    compute: Literal["fp32", "bf16"]
    backend: Literal["auto", "eager", "fused", "compile", "onnxruntime", "openvino", "tensorrt"]
    storage: Literal["float32", "float16"]
    shard_rows: Positive | None
    limit: Positive | None
    distractors: Positive | None
    allow_partial: bool
    skip_damaged: bool
    engine: EngineName
    filter: FilterName
    memory: Annotated[int | str, Field()]
    top_k: Annotated[int, BeforeValidator(_plain), Field(ge=1, le=1000)]
    control: Literal["random"] | None


_CHECK: TypeAdapter[EvalOptions] = TypeAdapter(EvalOptions)
_MEMORY: TypeAdapter[ByteSize] = TypeAdapter(ByteSize)


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Checks options, and omits those that are None.

    Raises:
        UsageError: The option does not exist, or its value is invalid.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = [name for name in given if name not in EvalOptions.__annotations__]
    if unknown:
        close = difflib.get_close_matches(unknown[0], EvalOptions.__annotations__, n=2)
        raise UsageError(
            f"evaluate has no option {unknown[0]!r}",
            hint=f"did you mean {' or '.join(close)}?" if close else "docs/api.md lists them",
        )
    try:
        checked: dict[str, Any] = {**_CHECK.validate_python(given)}
        if "memory" in checked:
            checked["memory"] = int(_MEMORY.validate_python(checked["memory"]))
    except ValidationError as error:
        fault = error.errors()[0]
        name = fault["loc"][0] if fault["loc"] else "memory"
        raise UsageError(f"{name} is {given.get(str(name))!r}: {fault['msg']}") from error
    if checked.get("memory", 10**7) < 10**7:
        raise UsageError(f"memory is {given['memory']!r}: at least 10 MB")
    return checked


def request_of(
    checkpoint: Path, data: Path | None, split: int | Literal["all"] | None, options: Mapping[str, Any]
) -> EvalRequest:
    """Makes the request that `eval` makes of the same options.

    Args:
        checkpoint: The weights, or a features file.
        data: The data set's folder or archive.
        split: Number of a standard split, or all.
        options: As `check_options` returns them.
    """
    seen = {name: options[name] for name in _INPUT if name in options}
    search = {name: options[name] for name in (*_SEARCH, "device") if name in options}
    export = {name: value for name, value in options.items() if name not in {*_INPUT, *_SEARCH, "control"}}
    for name in ("adapter", "output"):
        if name in export:
            export[name] = str(export[name]) if name == "adapter" else Path(export[name])
    number = None if split == "all" else split
    return EvalRequest(
        ExportRequest(checkpoint, data, split=number, input=seen, **export),
        SearchRequest(**search),
        control="control" in options,
        every_split=split == "all",
    )


def check_in_memory(options: Mapping[str, Any]) -> None:
    """Refuses options of files, where the network is in memory.

    Raises:
        UsageError: Some were given.
    """
    given = [name for name in _OF_FILES if options.get(name)]
    if given:
        raise UsageError(
            f"{', '.join(given)}: for checkpoints, and this network is in memory",
            hint="Result.save(folder) writes a run folder" if "output" in given else None,
        )
