"""Writes the seeds that a script makes into `tests/fuzz/seeds`; those that mutation found stay as they are."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.fuzz.kept import SEEDS, keep

ROOMS = ("lists", "trees", "images", "checkpoints", "embeddings", "board_files", "whole_models")


def main(rooms: list[str]) -> None:
    """Makes the seeds of some files of this folder, or of all."""
    for room in rooms or ROOMS:
        for target, seeds in import_module(f"benchmarks.fuzz.seeds.{room}").make().items():
            for old in (SEEDS / target).glob("made-*"):
                old.unlink()
            for name, content in seeds.items():
                if not keep(target, f"made-{name}", content):
                    print(f"{target}/{name} is too large to be kept")


if __name__ == "__main__":
    main(sys.argv[1:])
