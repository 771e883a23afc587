"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from sysu30k_bench.cli.command import LAST_GROUP, Option
from sysu30k_bench.cli.paths import TypedName, TypedPath
from sysu30k_bench.cli.values import NetworkOption, Size, SplitChoice, Triple
from sysu30k_bench.data.naming.dataset_names import DATASETS

Command = TypeVar("Command", bound=Callable[..., Any])


def _apply(options: list[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_DATA, _MODEL, _NETWORK = "What is evaluated", "The model", "Network and feature, in place of the card's"
_INPUT, _RUNNING, _STORING = "Input of the network, in place of the card's", "Where and how fast", "What is stored"
_PARTS, _SEARCHING, _OUTPUT = "A part, or in spite of something; never official", "The search", LAST_GROUP


def option(*names: str, group: str = "", **settings: Any) -> Callable[[Command], Command]:  # noqa: ANN401  click's own
    """Makes an option that shows its variable, in a group of the help."""
    return click.option(*names, cls=Option, group=group, show_envvar=True, **settings)


json_option = option("--json", "as_json", is_flag=True, group=_OUTPUT, help="Print only JSON on stdout.")
device_option = option("--device", default="auto", show_default=True, group=_RUNNING, help="auto, cpu, cuda or cuda:N.")

dataset_option = option(
    "--dataset",
    type=click.Choice(DATASETS),
    metavar="NAME",
    group=_DATA,
    help=f"Detected from the layout if unambiguous. {', '.join(DATASETS)}.",
)

id_offset_option = option(
    "--id-offset",
    type=click.IntRange(0, 1),
    help="Folder number minus bag label; detected from the existing folders if not given.",
)
split_option = option(
    "--split",
    type=click.IntRange(1),
    group=_DATA,
    help="Standard split, if there are several.",
)
all_splits_option = option(
    "--split",
    type=SplitChoice(),
    group=_DATA,
    help="Standard split, if there are several; `all` evaluates each and averages.",
)

board_option = option(
    "--board",
    type=TypedPath(),
    default=Path("leaderboard"),
    show_default=True,
    help="Folder that contains rows/ and evidence/.",
)


def board_argument(default: Path | None) -> Callable[[Command], Command]:
    """Takes the folder of a board as the argument BOARD, or as `--board`, which commands on single rows have."""

    def decorate(command: Command) -> Command:
        @click.argument("folder", type=TypedPath(), required=False, metavar="[BOARD]")
        @option("--board", type=TypedPath(), help="Another way to give BOARD.")
        @functools.wraps(command)
        def wrapped(*, folder: Path | None, board: Path | None, **others: Any) -> Any:  # noqa: ANN401  click's own
            if folder is not None and board is not None:
                raise click.UsageError("BOARD and --board are two ways to give one folder: use one of them")
            return command(board=folder or board or default, **others)

        return cast("Command", wrapped)

    return decorate


_CARD = [
    option(
        "--adapter",
        type=TypedName(),
        metavar="NAME|FILE.toml",
        group=_MODEL,
        help="Adapter card; detected from the checkpoint if unambiguous.",
    ),
    option("--model", metavar="SOURCE:NAME", group=_MODEL, help="Network without a card: torchvision:NAME, timm:NAME."),
    option(
        "--weights",
        metavar="WHICH",
        group=_MODEL,
        help="Which of several copies in the file: raw, ema, teacher, student, online, target, or a prefix of its "
        "keys; the one that its project reports if not given.",
    ),
]
_CHANGES = [
    option("--feature", type=click.Choice(["pool5", "bottleneck", "logits"]), group=_NETWORK, help="Layer."),
    option(
        "--flip",
        type=click.Choice(["none", "after_sum", "sequential", "concat"]),
        group=_NETWORK,
        help="Treatment of the mirrored view.",
    ),
    option(
        "--camera",
        type=click.IntRange(1, 10_000),
        group=_NETWORK,
        help="Camera, counted from 1, for every image, if the network takes one; the data set's own if not given.",
    ),
    option(
        "--network-option",
        "network_options",
        type=NetworkOption(),
        multiple=True,
        metavar="KEY=VALUE",
        group=_NETWORK,
        help="Option of the network, such as last_stride=1; may be repeated.",
    ),
    option(
        "--full-logits",
        is_flag=True,
        group=_NETWORK,
        help="Store all logits, not the shorter form with the same cosines.",
    ),
    option("--height", type=click.IntRange(16, 4096), group=_INPUT, help="Rows."),
    option("--width", type=click.IntRange(16, 4096), group=_INPUT, help="Columns."),
    option(
        "--interpolation",
        type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]),
        group=_INPUT,
        help="Of the resizing.",
    ),
    option(
        "--mean",
        type=Triple(),
        group=_INPUT,
        help="Subtracted from the channels: R,G,B in the network's order and scale.",
    ),
    option("--std", type=Triple(), group=_INPUT, help="Divided by, after --mean."),
    option(
        "--scale",
        type=click.Choice(["unit", "byte"]),
        group=_INPUT,
        help="Pixels in [0, 1], or 0 to 255, before --mean.",
    ),
    option("--channels", type=click.Choice(["rgb", "bgr"]), group=_INPUT, help="Order of the channels."),
]
_SPEED = [
    device_option,
    option(
        "--batch-size",
        type=click.IntRange(1),
        group=_RUNNING,
        help="Images per forward pass; 32 on a CPU; 256 on a GPU, or found by a trial in large runs.",
    ),
    option(
        "--workers",
        type=click.IntRange(0),
        group=_RUNNING,
        help="Decoding processes; chosen by the number of cores if not given.",
    ),
]
_ROOT = option("--data", type=TypedPath(), group=_DATA, help="Folder of the data set, or its archive.")

model_options = _apply(
    [
        option("--checkpoint", type=TypedPath(), required=True, group=_MODEL, help="The weights."),
        _ROOT,
        dataset_option,
        *_CARD,
        *_CHANGES,
        *_SPEED,
    ]
)

export_options = _apply(
    [
        click.argument("checkpoint", type=TypedPath()),
        _ROOT,
        dataset_option,
        *_CARD,
        option("--output", type=TypedPath(), group=_OUTPUT, help="Run folder; below runs/ if not given."),
        *_CHANGES,
        *_SPEED,
        option(
            "--compute",
            type=click.Choice(["fp32", "bf16"]),
            default="fp32",
            show_default=True,
            group=_RUNNING,
            help="Arithmetic of the network.",
        ),
        option(
            "--backend",
            type=click.Choice(["auto", "eager", "fused", "compile", "onnxruntime", "openvino", "tensorrt"]),
            default="auto",
            show_default=True,
            group=_RUNNING,
            help="Library that runs the network; auto tries the installed ones in long runs, and reports its choice.",
        ),
        option(
            "--storage",
            type=click.Choice(["float32", "float16"]),
            default="float32",
            show_default=True,
            group=_STORING,
            help="Type of stored numbers.",
        ),
        option(
            "--shard-rows",
            type=click.IntRange(1),
            group=_STORING,
            help="Rows of a new shard; about 64 MiB if not given.",
        ),
        option("--limit", type=click.IntRange(1), group=_PARTS, help="Evaluate N images of each role only."),
        option(
            "--distractors",
            type=click.IntRange(1),
            group=_PARTS,
            help="Search among N distractors only, always the same ones.",
        ),
        option(
            "--allow-partial",
            is_flag=True,
            group=_PARTS,
            help="Continue with a network that the file fills only partly.",
        ),
        option("--skip-damaged", is_flag=True, group=_PARTS, help="Continue without images that cannot be decoded."),
    ]
)

search_options = _apply(
    [
        option(
            "--engine",
            type=click.Choice(["auto", "faiss", "torch"]),
            default="auto",
            show_default=True,
            group=_SEARCHING,
            help="Search engine; all give the same ranks.",
        ),
        option(
            "--filter",
            type=click.Choice(["auto", "float32", "bf16", "int8"]),
            default="auto",
            show_default=True,
            group=_SEARCHING,
            help="Arithmetic in which the torch engine filters; all give the same ranks.",
        ),
        option(
            "--memory",
            type=Size(),
            default="2GB",
            show_default=True,
            group=_SEARCHING,
            help="Memory for the search's blocks.",
        ),
        option(
            "--top-k",
            type=click.IntRange(1, 1000),
            default=20,
            show_default=True,
            group=_SEARCHING,
            help="Gallery images to list for each query.",
        ),
    ]
)
control_option = option(
    "--control",
    type=click.Choice(["random"]),
    group=_SEARCHING,
    help="Also evaluate random weights.",
)
dry_run_option = option(
    "--dry-run", is_flag=True, group=_OUTPUT, help="Print the number of images, disk, memory and time, and stop."
)
