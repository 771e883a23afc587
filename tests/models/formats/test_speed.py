"""A large file is read where it is touched, and many keys take little time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from sysu30k_bench.models.formats.read import read_content
from tests.models.formats.making import torch_bytes


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_many_keys(tmp_path: Path, kind: str) -> None:
    content = {f"layer{number // 100}.block.{number}.weight": torch.zeros(4, 3) for number in range(10_000)}
    (tmp_path / "w.pth").write_bytes(torch_bytes(content, kind))
    start = time.process_time()
    assert len(read_content(tmp_path / "w.pth")) == 10_000
    assert time.process_time() - start < 5  # half a second on an idle machine


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_large_tensors(tmp_path: Path, kind: str) -> None:
    (tmp_path / "w.pth").write_bytes(torch_bytes({str(number): torch.zeros(1 << 22) for number in range(12)}, kind))
    start = time.process_time()
    assert len(read_content(tmp_path / "w.pth")) == 12
    assert time.process_time() - start < 3
