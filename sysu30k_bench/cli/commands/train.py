"""`train`: weakly supervised and self-supervised training by a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, print_error, stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge
from sysu30k_bench.cli.options import dataset_option, json_option
from sysu30k_bench.cli.paths import TypedName, TypedPath
from sysu30k_bench.interrupts import INTERRUPTED, INTERRUPTS

if TYPE_CHECKING:
    from sysu30k_bench.progress import Progress
    from sysu30k_bench.training.fabric import TrainRequest
    from sysu30k_bench.training.recipe import Recipe
    from sysu30k_bench.training.ssl.recipe import SslRecipe

_EXAMPLES = (
    ("a drawn training set, to try everything", "data synth TWIN --identities 20 --training 40"),
    ("", "train tiny --data TWIN --output runs/tiny"),
    ("resume after an interruption", "train sysu30k_unary --data SYSU-30k-released --resume"),
    ("evaluate what came out", "eval runs/tiny/best.pt --data TWIN"),
    ("without any label, from weights that an adapter reads", "train byol --data TARS --set network.weights=net.pth"),
)


@click.command("train", cls=Command, examples=_EXAMPLES)
@click.argument("recipe", type=TypedName())
@click.option("--data", type=TypedPath(), required=True, show_envvar=True, help="Folder or archive to train on.")
@dataset_option
@click.option("--output", type=TypedPath(), show_envvar=True, help="Run folder; runs/RECIPE if not given.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    show_envvar=True,
    help="A setting of the recipe, such as run.epochs=20; may be repeated.",
)
@click.option("--resume", is_flag=True, show_envvar=True, help="Resume from last.pt in the run folder.")
@click.option("--export-net", is_flag=True, show_envvar=True, help="Also write net_N.pth, with the authors' names.")
@click.option(
    "--export-backbone",
    is_flag=True,
    show_envvar=True,
    help="Self-supervised: also write backbone.pth, only the trunk.",
)
@click.option(
    "--replay",
    is_flag=True,
    show_envvar=True,
    help="Repeat the step whose loss was not finite, and name the first faulty module; nothing is trained.",
)
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    show_envvar=True,
    help="Device for training; use torchrun for several.",
)
@click.option(
    "--workers", type=click.IntRange(0), default=0, show_default=True, show_envvar=True, help="Decoding processes."
)
@click.option(
    "--stop-after", type=click.IntRange(1), show_envvar=True, help="Stop after this many batches; --resume continues."
)
@json_option
def train(
    recipe: str,
    data: Path,
    dataset: str | None,
    output: Path | None,
    changes: tuple[str, ...],
    resume: bool,
    export_net: bool,
    export_backbone: bool,
    replay: bool,
    accelerator: str,
    workers: int,
    stop_after: int | None,
    as_json: bool,
) -> None:
    """Train by RECIPE, a name or a .toml file.

    Weakly supervised: tiny, market1501_mgn, market1501_unary, sysu30k_unary, sysu30k_dgl. Self-supervised: simclr,
    moco_v2, byol, triplet, simsiam, barlow_twins, vicreg, dino on SYSU-30k, and each with _tiny on drawn people. `eval`
    takes the checkpoint as it is.
    """
    loaded = _recipe(recipe, changes, export_net=export_net, export_backbone=export_backbone)
    folder = output or Path("runs") / loaded.name
    judge({"data": data, "output": folder, "device": accelerator})
    INTERRUPTS.message = "interrupted; what was saved is kept, and the same command with --resume resumes"
    with loading("torch and Lightning Fabric"):
        from sysu30k_bench.training.fabric import TrainRequest

    request = TrainRequest(folder, accelerator, workers, resume or replay, stop_after, replay)
    try:
        with terminal_progress(quiet=as_json) as progress:
            outcome = _run(loaded, data, dataset, request, progress, export=export_net or export_backbone)
    except BaseException as error:
        if not INTERRUPTS.asked and not isinstance(error, KeyboardInterrupt):
            raise
        INTERRUPTS.told()
        last = folder / "last.pt"
        print_error(
            f"interrupted; the same command with --resume resumes from {last}"
            if last.exists()
            else "interrupted before anything was saved"
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    if outcome is None:
        return
    if as_json:
        click.echo(json.dumps(outcome, indent=1))
        return
    _show(outcome)


def _recipe(name: str, changes: tuple[str, ...], *, export_net: bool, export_backbone: bool) -> Recipe | SslRecipe:
    """Reads the recipe, of either kind, and refuses options of the other."""
    from sysu30k_bench.errors import UsageError
    from sysu30k_bench.training.recipe import load_recipe, recipe_names
    from sysu30k_bench.training.ssl.recipe import is_ssl_recipe, load_ssl_recipe, ssl_recipe_names

    settings = {}
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign:
            raise UsageError(f"--set {change} is not KEY=VALUE", hint="such as --set run.epochs=20")
        settings[key.strip()] = value
    known = [*recipe_names(), *ssl_recipe_names()]
    if name not in known and not name.endswith(".toml"):
        raise UsageError(f"there is no recipe {name!r}", hint=f"{', '.join(known)}, or a .toml file")
    if not is_ssl_recipe(name):
        if export_backbone:
            raise UsageError("--export-backbone is for self-supervised methods", hint="use --export-net")
        return load_recipe(name, settings)
    if export_net:
        raise UsageError("--export-net is for weakly supervised networks", hint="use --export-backbone")
    return load_ssl_recipe(name, settings)


def _run(
    recipe: Recipe | SslRecipe,
    data: Path,
    dataset: str | None,
    request: TrainRequest,
    progress: Progress,
    *,
    export: bool,
) -> dict[str, Any] | None:
    from sysu30k_bench.training.recipe import Recipe

    if isinstance(recipe, Recipe):
        from sysu30k_bench.training.run import run_recipe

        return run_recipe(recipe, data, dataset, request, progress, export=export)
    from sysu30k_bench.training.ssl.run import run_ssl_recipe

    return run_ssl_recipe(recipe, data, dataset, request, progress, export=export)


def _show(outcome: dict[str, Any]) -> None:
    console = stdout_console()
    if "replay" in outcome:
        for name, value in outcome["replay"].items():
            console.print(f"{name.replace('_', ' ')}: {value or 'none'}", markup=False, soft_wrap=True)
        return
    for name, value in outcome["last_epoch"].items():
        console.print(f"{name.replace('_', ' ')}: {value:,.4g}", markup=False)
    for path in outcome["files"]:
        console.print(path, markup=False, soft_wrap=True)
    console.print(f"next: sysu30k-bench eval {outcome['files'][0]} --data ROOT", markup=False, soft_wrap=True)
