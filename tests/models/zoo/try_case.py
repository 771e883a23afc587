"""Tries cases of the zoo by hand: `python -m tests.models.zoo.try_case NAME ... [--card NAME]`."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

from sysu30k_bench.errors import BenchError
from tests.models.zoo.compare import compare
from tests.models.zoo.rebuild import names, write_checkpoint


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--card", help="Adapter card to use; found where not given.")
@click.option("--weights", help="As the option of `eval`.")
@click.option("--details", is_flag=True, help="Show all lines of a refusal.")
def main(cases: tuple[str, ...], card: str | None, weights: str | None, *, details: bool) -> None:
    """Prints RIGHT, WRONG or REFUSED for each case."""
    counts = {"RIGHT": 0, "WRONG": 0, "REFUSED": 0, "CRASHED": 0}
    for name in cases or names():
        verdict, said, started = "", "", time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = write_checkpoint(name, Path(folder))
            try:
                found = compare(name, path, adapter=card, weights=weights)
                verdict = "RIGHT" if found.right else "WRONG"
                said = f"cos {found.cosine:.7f} dim {found.dimension} {found.model.card.name}; {found.model.found_by}"
            except BenchError as error:
                lines = [str(error), *error.details] if details else [str(error), *error.details[:3]]
                verdict, said = "REFUSED", "\n      ".join(lines).replace(folder, "")
            except Exception:  # noqa: BLE001  shown, and the next case tried
                verdict, said = "CRASHED", traceback.format_exc()
        counts[verdict] += 1
        click.echo(f"{name:34s} {verdict:8s} {time.perf_counter() - started:5.1f} s  {said}")
        sys.stdout.flush()
    click.echo(", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items()))


if __name__ == "__main__":
    main()
