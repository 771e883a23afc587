"""The examination of an installation."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
import torch

from sysu30k_bench._version import __version__
from sysu30k_bench.cpu_count import usable_processors
from sysu30k_bench.errors import BenchError
from sysu30k_bench.evaluation.environment import library_versions, processor_name
from sysu30k_bench.extras import how_to_install
from sysu30k_bench.search.engines.choose import choose_engine


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        state: `ok`, `note` or `bad`.
        what: What was looked at.
        found: What was found.
    """

    state: Literal["ok", "note", "bad"]
    what: str
    found: str


def examine() -> list[Finding]:
    """Looks at libraries, FAISS, devices, engine, memory and disk."""
    versions = library_versions()
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(Path.cwd())
    findings = [
        Finding("ok", "sysu30k-bench", __version__),
        Finding("ok", "libraries", libraries),
        Finding("ok", "processor", f"{processor_name()}, {usable_processors()} of {os.cpu_count()} logical cores"),
        _faiss(),
        _gpu(),
        _engine(),
        Finding(
            "ok" if memory.available > 4e9 else "note",
            "memory",
            f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB",
        ),
        Finding(
            "ok" if disk.free > 5e9 else "note",
            "disk here",
            f"{disk.free / 1e9:.1f} GB free; a full gallery of 2,048 dimensions takes 3.9 GB",
        ),
    ]
    shared = Path("/dev/shm")  # noqa: S108  looked at, not written to
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        findings.append(
            Finding(
                "ok" if free > 256e6 else "note",
                "shared memory",
                f"{free / 1e6:,.0f} MB free; decoding processes use it, --workers 0 does not",
            )
        )
    return findings


def _faiss() -> Finding:
    installed = [name for name in ("faiss-cpu", "faiss-gpu", "faiss") if _has(name)]
    if {"faiss-cpu", "faiss-gpu"} <= set(installed):
        return Finding(
            "bad",
            "FAISS",
            "faiss-cpu and faiss-gpu are both installed and overwrite each other: uninstall both, then install one",
        )
    if not installed:
        return Finding(
            "note",
            "FAISS",
            f"not installed; searches use torch. {how_to_install('faiss-cpu')}; for a GPU, faiss-gpu instead",
        )
    return Finding("ok", "FAISS", ", ".join(f"{name} {metadata.version(name)}" for name in installed))


def _gpu() -> Finding:
    if not torch.cuda.is_available():
        return Finding("note", "GPU", "torch sees none; everything runs on the CPU")
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Finding("ok", "GPU", ", ".join(names))


_FULL_SIZE = 1_000.0 * 478_731 * 2_048
"""Multiplications of the protocol's search with ResNet-50's features."""


def _engine() -> Finding:
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        engine, reason = choose_engine("auto", device, work=_FULL_SIZE)
    except BenchError as error:
        return Finding("bad", "search engine", str(error))
    return Finding("ok", "search engine", f"{engine.description} ({reason})")


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
