"""All targets, by name."""

from __future__ import annotations

from benchmarks.fuzz.target import Target
from benchmarks.fuzz.targets import board_files, checkpoints, embeddings, images, lists, trees, whole_models

ALL: dict[str, Target] = {
    target.name: target
    for room in (lists, trees, images, checkpoints, embeddings, board_files, whole_models)
    for target in room.TARGETS
}
