"""The network never waits for the host: decoding, copying and writing happen while a device works."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.embeddings.background import Background
from sysu30k_bench.embeddings.flight import Landing, in_flight, landing_of

STEP = 0.05
BATCHES = 8


class SlowDevice:
    """Works through what it is given in a thread of its own, as a GPU does, each piece for a while."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self.waiting = 0
        self.most_waiting = 0

    def launch(self, number: int) -> Landing:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        work = self._pool.submit(self._work, number)
        return lambda: work.result()

    def _work(self, number: int) -> np.ndarray:
        time.sleep(STEP)
        self.waiting -= 1
        return np.full(3, number)


def slowly_decoded() -> Iterator[int]:
    """Batches that the host needs as long for as the device does."""
    for number in range(BATCHES):
        time.sleep(STEP)
        yield number


def test_decoding_overlaps_a_slow_device() -> None:
    device = SlowDevice()
    started = time.perf_counter()
    results = list(in_flight(slowly_decoded(), device.launch))
    seconds = time.perf_counter() - started
    assert [(number, row.tolist()) for number, row in results] == [(n, [n] * 3) for n in range(BATCHES)]
    assert device.most_waiting <= 2
    one_after_the_other = 2 * STEP * BATCHES
    assert seconds < 0.8 * one_after_the_other


def test_each_is_launched_before_the_one_in_front_is_waited_for() -> None:
    events: list[str] = []

    def launch(number: int) -> Landing:
        events.append(f"launch {number}")
        return lambda: events.append(f"wait {number}") or np.zeros(1)  # type: ignore[func-returns-value]

    for number, _ in in_flight(range(3), launch):
        events.append(f"use {number}")
    assert events == [
        "launch 0",
        "launch 1",
        "wait 0",
        "use 0",
        "launch 2",
        "wait 1",
        "use 1",
        "wait 2",
        "use 2",
    ]
    assert list(in_flight([], launch)) == []


def test_a_result_on_the_cpu_lands_as_it_is() -> None:
    vectors = torch.arange(6.0).reshape(2, 3)
    assert np.array_equal(landing_of(vectors)(), vectors.numpy())


def test_background_work_runs_beside_and_keeps_its_order() -> None:
    gate = threading.Event()

    def wait(number: int) -> int:
        gate.wait(5)
        return number

    with Background[int]() as work:
        work.do(lambda: wait(1))
        gate.set()  # reached while the first is at work
        work.do(lambda: wait(2))
        assert work.results() == [1, 2]


def test_background_errors_reach_the_one_who_asked() -> None:
    def fail() -> int:
        raise OSError("disk full")

    with Background[int]() as work:
        work.do(fail)
        with pytest.raises(OSError, match="disk full"):
            work.do(lambda: 1)


def test_leaving_waits_for_what_is_being_written() -> None:
    written: list[int] = []

    def write() -> int:
        time.sleep(STEP)
        written.append(1)
        return 1

    def interrupted() -> None:
        with Background[int]() as work:
            work.do(write)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written == [1]


@pytest.mark.gpu
def test_a_gpu_result_lands_while_later_work_runs() -> None:
    matrix = torch.rand(8192, 8192, device="cuda")
    (matrix @ matrix).sum().item()
    expected = matrix[:4].cpu().numpy()
    landing: Any = landing_of(matrix[:4].clone())
    for _ in range(40):
        matrix @ matrix
    began = time.perf_counter()
    landed = landing()
    waited = time.perf_counter() - began
    torch.cuda.synchronize()
    rest = time.perf_counter() - began
    assert np.array_equal(landed, expected)
    assert waited < 0.5 * rest
