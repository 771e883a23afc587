"""The arithmetic of the simulation, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.simulation import Job, Rates, estimate

RATES = Rates(images=100, pairs=0.1, labels=1, label_bytes=200, storage=1000, network=100, libraries=500)
JOB = Job(queries=1000, gallery=10**7, dimension=2000, image_bytes=5000, top_k=20)


def test_one_process_by_hand() -> None:
    found = estimate(JOB, 1, RATES)
    assert found.export == pytest.approx((10**7 + 1000) / 100)
    assert found.search == pytest.approx(1000 * 10**7 / 1e8 + 10)  # pairs, then labels; the store takes 80 s to read
    assert found.disk == 8e10
    block = 4096 * (2000 * 12 + 1000 * 11)
    assert found.memory == pytest.approx(500e6 + 2e9 + block + 2 * 8192 * 8000 + 3 * 8e6)


def test_more_processes_help_until_storage_is_the_limit() -> None:
    found = estimate(JOB, 64, RATES)
    assert found.export == pytest.approx((10**7 + 1000) / 6400)
    merged = 63 * 1000 * (20 * 16 + 16) / 1e8
    assert found.search == pytest.approx(80 + 10 + merged)  # 8e10 bytes at 1 GB/s
    slow = estimate(JOB, 64, replace(RATES, storage=10))
    assert slow.export == pytest.approx((10**7 + 1000) * 5000 / 1e7)


def test_every_process_holds_all_labels() -> None:
    small, large = (estimate(replace(JOB, gallery=size), 64, RATES).memory for size in (10**6, 10**9))
    assert large - small == pytest.approx((10**9 - 10**6) * 200)
