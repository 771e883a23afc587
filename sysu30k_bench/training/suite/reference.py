"""Runs of the reference, made once, and kept as a file that says what they were made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pydantic
from pydantic import BaseModel, ConfigDict

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.ssl.recipe import METHODS, MethodName
from sysu30k_bench.training.suite.people import HEIGHT, IMAGES_EACH, TESTED, TRAINED, WIDTH
from sysu30k_bench.training.suite.signature import Signature, sign
from sysu30k_bench.training.suite.task import BATCH, STEPS, Reference, suite_recipe

REFERENCE_SEEDS = tuple(range(4))
DRAWS = 3
_MAX_BYTES = 16 << 20


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipes: dict[MethodName, str]
    runs: dict[MethodName, dict[int, list[Signature]]]


@dataclass
class References:
    """Figures of the reference.

    Attributes:
        runs: For each method and seed, a figure table for each draw of the heads.
    """

    runs: dict[MethodName, dict[int, list[Signature]]] = field(default_factory=dict)

    def of(self, method: MethodName) -> dict[int, Sequence[Signature]]:
        """Returns a method's runs by seed.

        Raises:
            DataError: It has none.
        """
        if method not in self.runs:
            raise DataError(f"there is no reference of {method}", hint="make one with `ssl-suite --record FILE`")
        return dict(self.runs[method])

    def write(self, path: Path) -> None:
        """Writes the figures, rounded to eight digits, with a digest of each recipe."""
        rounded = {
            method: {
                seed: [{name: float(f"{value:.8g}") for name, value in one.items()} for one in several]
                for seed, several in runs.items()
            }
            for method, runs in self.runs.items()
        }
        content = _File(recipes={method: task_digest(method) for method in self.runs}, runs=rounded)
        write_atomically(path, (content.model_dump_json() + "\n").encode())


def make_references(progress: Progress, methods: Sequence[MethodName] = METHODS) -> References:
    """Runs the reference on all seeds, three times each with other first weights of the heads.

    Args:
        progress: Told of runs.
        methods: Which methods.
    """
    found = References()
    for method in methods:
        progress.begin(f"reference {method}", len(REFERENCE_SEEDS) * DRAWS, "runs")
        found.runs[method] = {}
        for seed in REFERENCE_SEEDS:
            found.runs[method][seed] = []
            for heads in range(DRAWS):
                found.runs[method][seed].append(sign(method, Reference, seed, heads))
                progress.advance(1)
        progress.end()
    return found


def read_references(path: Path | None = None) -> References:
    """Reads recorded figures.

    Args:
        path: The file; the package's own where None.

    Raises:
        DataError: It cannot be read.
        IntegrityError: It is no such file, or of other recipes than this version's.
    """
    hint = "record it again with `ssl-suite --record FILE`"
    try:
        raw = (
            resources.files("sysu30k_bench.training.suite").joinpath("reference.json").read_bytes()
            if path is None
            else path.read_bytes()
        )
        content = _File.model_validate_json(raw[:_MAX_BYTES])
    except OSError as error:
        raise DataError(f"cannot read the reference {path or ''}: {error.strerror}", hint=hint) from error
    except pydantic.ValidationError as error:
        raise IntegrityError(f"{path or 'the reference'} holds no figures of a reference", hint=hint) from error
    other = [method for method in content.runs if content.recipes.get(method) != task_digest(method)]
    if other:
        raise IntegrityError(f"the reference of {', '.join(other)} is of another recipe or other data", hint=hint)
    few = [method for method, runs in content.runs.items() if sum(len(several) > 1 for several in runs.values()) < 3]
    if few:
        raise IntegrityError(f"the reference of {', '.join(few)} has fewer than three seeds with two runs", hint=hint)
    return References(content.runs)


def task_digest(method: MethodName) -> str:
    """Returns a digest of all that a run's figures depend on, but for the code.

    Settings at their defaults are left out: a version that adds one, whose default is what was done before, keeps the
    reference.
    """
    task = [
        suite_recipe(method).model_dump(mode="json", exclude_defaults=True),
        STEPS,
        BATCH,
        HEIGHT,
        WIDTH,
        TRAINED,
        IMAGES_EACH,
        TESTED,
    ]
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()
