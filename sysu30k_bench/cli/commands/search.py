"""`search`: the second step of the main job."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sysu30k_bench.cli.command import Command
from sysu30k_bench.cli.console import loading, stdout_console, terminal_progress
from sysu30k_bench.cli.judge import judge, judge_run
from sysu30k_bench.cli.options import device_option, json_option, search_options
from sysu30k_bench.cli.paths import TypedPath
from sysu30k_bench.cli.values import Fraction
from sysu30k_bench.words import count

if TYPE_CHECKING:
    from sysu30k_bench.evaluation.request import SearchRequest
    from sysu30k_bench.evaluation.run_folder import RunFolder
    from sysu30k_bench.progress import Progress


_EXAMPLES = (
    ("rank the gallery of an exported run", "search run"),
    ("each gallery image's ten nearest others", "search run --self --top-k 10"),
    ("re-rank, beside the protocol's ranking", "search run --rerank --k1 20 --k2 6"),
)


@click.command("search", cls=Command, examples=_EXAMPLES)
@click.argument("run", type=TypedPath())
@search_options
@device_option
@click.option(
    "--self",
    "itself",
    is_flag=True,
    show_envvar=True,
    help="Find the --top-k nearest neighbours of every gallery image, and write neighbours.h5.",
)
@click.option(
    "--rerank",
    is_flag=True,
    show_envvar=True,
    help="Re-rank by k-reciprocal neighbours, and write reranked/ranking.csv: not the protocol's ranking.",
)
@click.option(
    "--k1",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    show_envvar=True,
    help="Re-ranking: neighbours that may be reciprocal.",
)
@click.option(
    "--k2",
    type=click.IntRange(1, 1000),
    default=6,
    show_default=True,
    show_envvar=True,
    help="Re-ranking: neighbours whose encodings are averaged.",
)
@click.option(
    "--lambda",
    "weight",
    type=Fraction(0, 1),
    default=0.3,
    show_default=True,
    show_envvar=True,
    help="Re-ranking: share of the original distance.",
)
@json_option
def search_command(
    run: Path,
    as_json: bool,
    itself: bool,
    rerank: bool,
    k1: int,
    k2: int,
    weight: float,
    **options: Any,  # noqa: ANN401
) -> None:
    """Rank the gallery of the run folder RUN for its queries, exactly; writes ranking.csv and top.csv there."""
    if itself and rerank:
        raise click.UsageError("--self and --rerank are two kinds of search: give one of them")
    given = click.get_current_context().get_parameter_source
    for name, option in (("k1", "--k1"), ("k2", "--k2"), ("weight", "--lambda")):
        if not rerank and given(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} is of a re-ranking: also give --rerank")
    judge(options)
    judge_run(run, "export", folder=True)
    with loading():
        from sysu30k_bench.cli.requests import search_request
        from sysu30k_bench.errors import UsageError
        from sysu30k_bench.evaluation.ranking.search_step import neighbours_step, search_step
        from sysu30k_bench.evaluation.run_folder import RunFolder
        from sysu30k_bench.processes import Ranks

    folder = RunFolder(run)
    ranks = Ranks.from_environment()
    with folder.locked() if ranks.first else nullcontext(), terminal_progress() as progress:
        if itself:
            path = neighbours_step(folder, search_request(options), progress, ranks)
            if ranks.first:
                click.echo(json.dumps({"neighbours": str(path)}) if as_json else path)
            return
        if rerank:
            if ranks.world > 1:
                raise UsageError("--rerank runs in one process", hint="omit torchrun")
            _rerank(folder, search_request(options), (k1, k2, weight), progress, as_json=as_json)
            return
        notes = search_step(folder, search_request(options), progress, ranks).notes
    if not ranks.first:
        return
    if as_json:
        click.echo(notes.model_dump_json(indent=1))
    else:
        console = stdout_console()
        console.print(f"{count(notes.gallery, 'gallery image')} ranked in {notes.seconds:,.1f} s", markup=False)
        console.print(f"{notes.engine} ({notes.engine_reason})", markup=False)
        console.print(f"next: sysu30k-bench score {run}", markup=False, soft_wrap=True)


def _rerank(
    folder: RunFolder, request: SearchRequest, numbers: tuple[int, int, float], progress: Progress, *, as_json: bool
) -> None:
    from sysu30k_bench.evaluation.ranking.rerank_step import rerank_step
    from sysu30k_bench.search.graph.reciprocal import RerankSettings

    path = rerank_step(folder, request, RerankSettings(*numbers), progress)
    if as_json:
        click.echo(json.dumps({"ranking": str(path)}))
    else:
        stdout_console().print(f"{path}\nnext: sysu30k-bench score {path}", markup=False, soft_wrap=True)
