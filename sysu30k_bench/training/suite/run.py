"""Judging implementations against recorded runs of the reference."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.model import ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.training.ssl.recipe import METHODS, MethodName
from sysu30k_bench.training.suite.lockstep import lockstep
from sysu30k_bench.training.suite.people import test_people
from sysu30k_bench.training.suite.reference import REFERENCE_SEEDS, References, read_references
from sysu30k_bench.training.suite.signature import EMBEDDINGS, RETRIEVAL, Signature, measure, sign
from sysu30k_bench.training.suite.task import Factory, Reference
from sysu30k_bench.training.suite.verdict import ALPHA, Verdict, judge

SEEDS = 2
_NEW_HEADS = 100


@dataclass(frozen=True)
class Judged:
    """A method and what the suite says of it."""

    method: MethodName
    verdict: Verdict


def check_method(
    method: MethodName,
    factory: Factory = Reference,
    *,
    seeds: int = SEEDS,
    alpha: float = ALPHA,
    references: References | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Trains an implementation on drawn people for some seconds, and compares it with the reference in two ways.

    Ten steps beside the reference from the same weights, where heads can be matched (`suite.lockstep`); and figures of
    whole runs against recorded ones (`suite.verdict`).

    Args:
        method: What it claims to be.
        factory: Makes it of a trunk and the recipe; this package's own where not given.
        seeds: Runs; more find smaller differences.
        alpha: Chance of a false alarm.
        references: Recorded runs; the package's own where None.
        progress: Told of runs.

    Raises:
        UsageError: There is no such method, or the reference has fewer seeds.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}", hint=", ".join(METHODS))
    if not 1 <= seeds <= len(REFERENCE_SEEDS):
        raise UsageError(f"the reference has {len(REFERENCE_SEEDS)} seeds, but {seeds} were requested")
    recorded = references or read_references()
    told = progress or Silent()
    told.begin(method, seeds, "runs")
    signatures: dict[int, Signature] = {}
    for seed in REFERENCE_SEEDS[:seeds]:
        signatures[seed] = sign(method, factory, seed, _NEW_HEADS)
        told.advance(1)
    told.end()
    verdict = judge(signatures, recorded.of(method), alpha=alpha)
    beside = lockstep(method, factory, REFERENCE_SEEDS[0], _NEW_HEADS)
    reason = beside.reason if beside is not None else ""
    return replace(verdict, passed=verdict.passed and not reason, lockstep=reason, locked=beside is not None)


def check_methods(
    methods: Sequence[MethodName],
    factory: Factory = Reference,
    *,
    seeds: int = SEEDS,
    alpha: float = ALPHA,
    references: References | None = None,
    progress: Progress | None = None,
) -> list[Judged]:
    """Checks several methods; see `check_method`."""
    recorded = references or read_references()
    return [
        Judged(method, check_method(method, factory, seeds=seeds, alpha=alpha, references=recorded, progress=progress))
        for method in methods
    ]


def check_checkpoints(
    method: MethodName, checkpoints: Sequence[Path], *, alpha: float = ALPHA, references: References | None = None
) -> Verdict:
    """Compares checkpoints that another program trained with the reference: embeddings and retrieval alone.

    They have to be trained as the suite does (`sysu30k_bench.training.suite.task`), one for each of its first seeds.

    Args:
        method: What they claim to be.
        checkpoints: Files that the adapters read, in the order of the seeds.
        alpha: Chance of a false alarm.
        references: Recorded runs; the package's own where None.

    Raises:
        UsageError: There are more checkpoints than seeds, or none.
        BenchError: One cannot be read.
    """
    if not 1 <= len(checkpoints) <= len(REFERENCE_SEEDS):
        raise UsageError(f"{len(checkpoints)} checkpoints for the {len(REFERENCE_SEEDS)} seeds of the reference")
    found: dict[int, Signature] = {}
    people = test_people()
    for seed, path in zip(REFERENCE_SEEDS, checkpoints, strict=False):
        trunk = ready_model(ExportRequest(path), torch.device("cpu")).embedder.trunk.eval()
        with torch.no_grad():
            queries, gallery = (trunk(images).flatten(1) for images in (people.queries, people.gallery))
        found[seed] = measure(queries, gallery)
    recorded = references or read_references()
    return judge(found, recorded.of(method), alpha=alpha, kinds=(*EMBEDDINGS[:1], *RETRIEVAL))


def named_factory(name: str) -> Factory:
    """Imports `package.module:Name`.

    Raises:
        UsageError: It cannot be imported, or is not callable.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"cannot import the candidate {name}: {error}", hint="name it as package.module:Class, on PYTHONPATH"
        ) from error
    if not callable(found):
        raise UsageError(f"{name} is not callable", hint="it must build a candidate from (backbone, recipe)")
    factory: Factory = found
    return factory


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Returns a verdict as plain values."""
    return {
        "passed": verdict.passed,
        "reason": verdict.reason,
        "p": verdict.p,
        "lockstep": verdict.lockstep,
        "locked": verdict.locked,
        "broken": verdict.broken,
        "deviations": [
            {
                "name": one.name,
                "difference": one.difference,
                "spread": one.spread if math.isfinite(one.spread) else None,
                "p": one.p,
            }
            for one in verdict.deviations
        ],
    }
