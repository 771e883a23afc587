"""Options that several commands share."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sysu30k_bench.data.dataset_names import DATASETS

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class NetworkOption(click.ParamType[tuple[str, str | int | float | bool]]):
    """A setting such as `last_stride=1`; the value is read as TOML would, or else as text."""

    name = "key=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float | bool]:
        """See click."""
        key, sign, text = str(value).partition("=")
        if not sign or not key.isidentifier():
            self.fail(f"{value!r} is not KEY=VALUE, such as last_stride=1", param, ctx)
        try:
            parsed = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = text
        return key, parsed if isinstance(parsed, bool | int | float) else text


ALL_SPLITS = "all"


class SplitChoice(click.ParamType[int | str]):
    """The number of a split, or `all`."""

    name = "n|all"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """See click."""
        text = str(value)
        if text == ALL_SPLITS:
            return text
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            self.fail(f"{value!r} is not a number from 1, or {ALL_SPLITS}", param, ctx)
        return int(text)


class Size(click.ParamType[int]):
    """A number of bytes such as `2GB` or `512MiB`."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(value))
        if match is None or match[2].upper() not in _UNITS:
            self.fail(f"{value!r} is not a size; write 2GB or 512MB", param, ctx)
        size = int(float(match[1]) * _UNITS[match[2].upper()])
        if size < 10**7:
            self.fail(f"{value!r} is too little; at least 10MB", param, ctx)
        return size


def _apply(options: list[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _option(*names: str, **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401  click's own signature
    return click.option(*names, show_envvar=True, **settings)


json_option = _option("--json", "as_json", is_flag=True, help="Print only JSON on stdout.")
device_option = _option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")

dataset_option = _option(
    "--dataset",
    type=click.Choice(DATASETS),
    metavar="NAME",
    help=f"Found from the layout where unambiguous. {', '.join(DATASETS)}.",
)

id_offset_option = _option(
    "--id-offset",
    type=click.IntRange(0, 1),
    help="Folder number less label of a bag; found from the folders that are there where not given.",
)
split_option = _option("--split", type=click.IntRange(1), help="Which of the standard splits, where there are several.")

board_option = _option(
    "--board",
    type=click.Path(path_type=Path),
    default=Path("leaderboard"),
    show_default=True,
    help="Folder that holds rows/ and evidence/.",
)

_NETWORK = [
    _option("--feature", type=click.Choice(["pool5", "bottleneck", "logits"]), help="Layer, in place of the card's."),
    _option(
        "--flip",
        type=click.Choice(["none", "after_sum", "sequential"]),
        help="Mirrored view, in place of the card's.",
    ),
    _option(
        "--network-option",
        "network_options",
        type=NetworkOption(),
        multiple=True,
        metavar="KEY=VALUE",
        help="Option of the network, in place of the card's, such as last_stride=1; may be repeated.",
    ),
    _option(
        "--full-logits",
        is_flag=True,
        help="Store logits in full length, not in the shorter form of equal geometry.",
    ),
]
_RUNNING = [
    device_option,
    _option("--batch-size", type=click.IntRange(1), help="Images a forward pass; 32 on a CPU, 256 on a GPU."),
    _option("--workers", type=click.IntRange(0), help="Decoding processes; chosen by cores where not given."),
]
_ADAPTER = _option(
    "--adapter", metavar="NAME|FILE.toml", help="Adapter card; found from the checkpoint where unambiguous."
)
_MODEL = _option("--model", metavar="SOURCE:NAME", help="Network without a card: torchvision:NAME, timm:NAME.")
_DATA = _option("--data", type=click.Path(path_type=Path), help="Folder of the data set, or its archive as it is.")

model_options = _apply(
    [
        _option("--checkpoint", type=click.Path(path_type=Path), required=True, help="The weights."),
        _DATA,
        dataset_option,
        _ADAPTER,
        _MODEL,
        *_NETWORK,
        *_RUNNING,
    ]
)

export_options = _apply(
    [
        click.argument("checkpoint", type=click.Path(path_type=Path)),
        _DATA,
        dataset_option,
        _ADAPTER,
        _MODEL,
        _option("--output", type=click.Path(path_type=Path), help="Run folder; below runs/ where not given."),
        *_NETWORK,
        *_RUNNING,
        _option("--shard-rows", type=click.IntRange(1), help="Rows of a new shard; about 64 MiB where not given."),
        _option(
            "--compute",
            type=click.Choice(["fp32", "bf16"]),
            default="fp32",
            show_default=True,
            help="Arithmetic of the network.",
        ),
        _option(
            "--storage",
            type=click.Choice(["float32", "float16"]),
            default="float32",
            show_default=True,
            help="Type of stored numbers.",
        ),
        _option("--limit", type=click.IntRange(1), help="Evaluate N images of each role only; never official."),
        _option(
            "--distractors",
            type=click.IntRange(1),
            help="Search among N distractors only, the same ones always; never official.",
        ),
        _option(
            "--allow-partial", is_flag=True, help="Go on with a network that the file does not fill; never official."
        ),
        _option("--skip-damaged", is_flag=True, help="Go on without images that cannot be decoded; never official."),
    ]
)

search_options = _apply(
    [
        _option(
            "--engine",
            type=click.Choice(["auto", "faiss", "torch"]),
            default="auto",
            show_default=True,
            help="Search engine; all give the same ranks.",
        ),
        _option(
            "--filter",
            type=click.Choice(["auto", "float32", "bf16", "int8"]),
            default="auto",
            show_default=True,
            help="Arithmetic in which the torch engine filters; all give the same ranks.",
        ),
        _option("--memory", type=Size(), default="2GB", show_default=True, help="Memory for the search's blocks."),
        _option(
            "--top-k",
            type=click.IntRange(1, 1000),
            default=20,
            show_default=True,
            help="Gallery images to list for each query.",
        ),
    ]
)
