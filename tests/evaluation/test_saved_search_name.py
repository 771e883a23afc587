"""A half-finished search resumes only with the very embeddings, reach and processes that it began with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.embeddings.manifest import MANIFEST_NAME
from sysu30k_bench.evaluation.ranking.search_step import _kept_name
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.processes import Ranks


def folder_of(path: Path, **manifests: str) -> RunFolder:
    folder = RunFolder(path)
    for role, content in manifests.items():
        folder.embeddings(role).mkdir(parents=True, exist_ok=True)  # type: ignore[arg-type]
        (folder.embeddings(role) / MANIFEST_NAME).write_text(content)  # type: ignore[arg-type]
    return folder


def test_the_name_is_the_same_for_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, query="q", gallery="g")
    assert _kept_name(folder, 50, Ranks()) == _kept_name(folder, 50, Ranks())


@pytest.mark.parametrize(("query", "gallery"), [("other", "g"), ("q", "other")])
def test_other_embeddings_have_another_name(query: str, gallery: str, tmp_path: Path) -> None:
    before = _kept_name(folder_of(tmp_path, query="q", gallery="g"), 50, Ranks())
    assert _kept_name(folder_of(tmp_path, query=query, gallery=gallery), 50, Ranks()) != before


def test_another_reach_and_other_processes_have_another_name(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, query="q", gallery="g")
    names = {_kept_name(folder, 50, Ranks()), _kept_name(folder, 60, Ranks())}
    names |= {_kept_name(folder, 50, Ranks(rank=rank, world=2)) for rank in (0, 1)}
    assert len(names) == 4
