"""Does the answer depend on anything that must not matter? Two tables.

The first searches the same drawn vectors by every engine, filter, block size, number of threads and processes, and
after interruptions, and compares the files byte by byte. The second embeds the same images by other batches, threads,
shards and backends, and says how far embeddings move and how many ranks with them. Run with `make determinism`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.import_features import lay_out
from benchmarks.search_data import draw
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import BenchError
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.ranking.search_step import search_step
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest, SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.ranking import RANKING_NAME, TOP_NAME, read_ranking

NETWORKS = {"resnet50": "torchvision:resnet50", "ViT tiny": "timm:vit_tiny_patch16_224"}
SEARCHES: dict[str, dict[str, Any]] = {
    f"{engine}, {kind}, {memory // 10**6} MB": {"engine": engine, "filter": kind, "memory": memory}
    for engine, kinds in (("faiss", ("auto",)), ("torch", ("float32", "bf16", "int8")))
    for kind in kinds
    for memory in (20_000_000, 100_000_000, 2_000_000_000)
}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "the same again": {},
    "batches of 1": {"batch_size": 1},
    "batches of 7": {"batch_size": 7},
    "batches of 64": {"batch_size": 64},
    "two decoding processes": {"workers": 2},
    "shards of 97 rows": {"shard_rows": 97},
    "backend fused": {"backend": "fused"},
    "backend compile": {"backend": "compile"},
    "backend onnxruntime": {"backend": "onnxruntime"},
    "backend openvino": {"backend": "openvino"},
}


class Interrupted(Silent):
    """Interrupts a search after some advances, once."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int) -> None:  # noqa: ARG002  what was done does not matter here
        """Counts down, and interrupts at 0."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def drawn_run(place: Path, rows: int, dimension: int) -> Path:
    """Makes a run of 1,000 drawn queries, near each other and their gallery as pooled features are, and searches it."""
    place.mkdir()
    lay_out(place / "data", rows)
    test_set = open_test_set(place / "data")
    query, gallery = draw("relu", len(test_set.query), rows, dimension)
    gallery[-2000:-1000] = gallery[-3000:-2000]  # ties, of which the order of the gallery decides
    matches = np.flatnonzero(test_set.gallery.person_ids > 0)
    ordered = np.empty_like(gallery)
    ordered[matches], ordered[test_set.gallery.person_ids <= 0] = gallery[: len(matches)], gallery[len(matches) :]
    keys = [*test_set.query.keys, *test_set.gallery.keys]
    np.savez(place / "drawn.npz", embedding=np.concatenate([query, ordered]), key=np.array(keys))
    export = ExportRequest(place / "drawn.npz", data=place / "data", output=place / "run", device="cpu")
    evaluate(EvalRequest(export), Silent(), Ranks())
    return place / "run"


def answer(folder: Path) -> dict[str, bytes]:
    """The files that a search leaves."""
    return {name: (folder / name).read_bytes() for name in (RANKING_NAME, TOP_NAME)}


def searched(run: Path, work: Path, threads: int = 0, **changes: Any) -> dict[str, bytes]:  # noqa: ANN401
    """Searches a copy of a run, and returns its answer."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(run, work)
    for name in answer(run):
        (work / name).unlink()
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        search_step(RunFolder(work), replace(SearchRequest(), device="cpu", **changes), Silent(), Ranks())
    finally:
        torch.set_num_threads(before)
    return answer(work)


def resumed(run: Path, work: Path) -> dict[str, bytes]:
    """Searches a copy in small blocks, interrupted again and again."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(run, work)
    for name in answer(run):
        (work / name).unlink()
    request = SearchRequest("faiss", "cpu", memory=20_000_000)
    for after in (1, 2, 3, 5):
        try:
            search_step(RunFolder(work), request, Interrupted(after), Ranks())
        except KeyboardInterrupt:
            continue
        return answer(work)
    search_step(RunFolder(work), request, Silent(), Ranks())
    return answer(work)


def processes(run: Path, work: Path, count: int) -> dict[str, bytes]:
    """Searches a copy by several processes of torchrun."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(run, work)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m"]
    subprocess.run([*torchrun, "sysu30k_bench", "search", work, "--device", "cpu"], check=True, capture_output=True)  # noqa: S603
    return answer(work)


def search_table(run: Path, work: Path) -> Iterator[str]:
    """A line for each way to search."""
    wanted = answer(run)
    ways: dict[str, Any] = {name: (lambda c=changes: searched(run, work, **c)) for name, changes in SEARCHES.items()}
    ways |= {f"auto, {count} thread(s)": (lambda c=count: searched(run, work, threads=c)) for count in (1, 2, 4)}
    ways |= {f"torchrun, {count} processes": (lambda c=count: processes(run, work, c)) for count in (2, 3, 24)}
    ways["interrupted four times and resumed"] = lambda: resumed(run, work)
    for name, way in ways.items():
        try:
            found = "equal" if way() == wanted else "**DIFFERENT**"
        except BenchError as error:
            found = f"refused: {error}"
        yield f"| {name} | {found} |"


def moved(reference: Path, other: Path) -> tuple[float, int, int, float]:
    """The largest cosine distance of embeddings, ranks that moved, the furthest move, and rank-1 in points."""
    worst = 0.0
    for role in ("query", "gallery"):
        left, right = (Store.open(RunFolder(run).embeddings(role)).embeddings() for run in (reference, other))
        if np.array_equal(left, right):
            continue
        left, right = (rows.astype(np.float64) for rows in (left, right))
        cosine = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        worst = max(worst, float((1 - cosine).max()))
    before, after = (read_ranking(run / RANKING_NAME).matched["rank_high"].to_numpy() for run in (reference, other))
    change = np.abs(after - before)
    return worst, int((change > 0).sum()), int(change.max()), 100 * float((after == 1).mean() - (before == 1).mean())


def embedding_table(request: EvalRequest, place: Path, name: str) -> Iterator[str]:
    """A line for each way to embed."""
    evaluate(request, Silent(), Ranks())
    for title, changes in EMBEDDINGS.items():
        other = place / title.replace(" ", "_")
        export = replace(request.export, output=other, **changes)
        try:
            evaluate(replace(request, export=export), Silent(), Ranks())
        except BenchError as error:
            yield f"| {name} | {title} | refused: {error} | | | |"
            continue
        far, ranks, furthest, points = moved(request.export.output or place, other)
        bits = "0, the same bits" if far == 0 else f"{far:.1e}"
        yield f"| {name} | {title} | {bits} | {ranks} | {furthest} | {points:+.1f} |"
        shutil.rmtree(other)


@click.command()
@click.option("--identities", default=40, show_default=True, help="Queries.")
@click.option("--distractors", default=110, show_default=True)
@click.option("--rows", default=30_000, show_default=True, help="Gallery of the searches: drawn vectors.")
@click.option("--dimension", default=1024, show_default=True, help="Of the same.")
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), default=list(NETWORKS))
def main(identities: int, distractors: int, rows: int, dimension: int, networks: tuple[str, ...]) -> None:
    """Makes both tables, a line as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_twin(place / "twin", TwinRequest(identities=identities, distractors=distractors), Silent())
        requests = {name: _request(name, place) for name in networks}
        click.echo(
            f"searches of 1,000 x {rows:,} x {dimension:,}; {identities} x {identities + distractors} images embedded; "
            f"{this_machine(torch.device('cpu')).processor}, torch {torch.__version__}\n"
        )
        click.echo("| search | ranking.csv and top.csv |\n| --- | --- |")
        for line in search_table(drawn_run(place / "drawn", rows, dimension), place / "work"):
            click.echo(line)
        click.echo("\n| network | embedded | largest cosine distance | ranks moved | furthest | rank-1, points |")
        click.echo("| --- | --- | --- | --- | --- | --- |")
        for name, request in requests.items():
            for line in embedding_table(request, place, name):
                click.echo(line)


def _request(name: str, place: Path) -> EvalRequest:
    torch.manual_seed(0)
    weights = place / f"{name.replace(' ', '_')}.pth"
    torch.save(_network(NETWORKS[name]).state_dict(), weights)
    export = ExportRequest(
        weights, data=place / "twin", output=place / f"{weights.stem}-run", model=NETWORKS[name], device="cpu",
        backend="eager", workers=0,
    )  # fmt: skip
    return EvalRequest(export)


def _network(model: str) -> torch.nn.Module:
    source, name = model.split(":")
    if source == "timm":
        import timm

        made: torch.nn.Module = timm.create_model(name, pretrained=False)
        return made
    from torchvision import models

    found: torch.nn.Module = models.get_model(name, weights=None)
    return found


if __name__ == "__main__":
    main()
