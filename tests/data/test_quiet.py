"""Filters of warnings are the process's: threads that decode at once leave them as they were."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from sysu30k_bench.data.decoder_warnings import pillow_is_quiet
from sysu30k_bench.data.images import decode
from tests.conftest import jpeg


def test_the_last_to_leave_restores_the_filters() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with pillow_is_quiet():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    with pillow_is_quiet():
        thread.start()
        assert inside.wait(10)
    assert list(warnings.filters) != before  # the other thread still decodes
    leave.set()
    thread.join()
    assert list(warnings.filters) == before


def test_many_threads_leave_the_filters_alone() -> None:
    before, content = list(warnings.filters), jpeg()
    with ThreadPoolExecutor(8) as pool:
        shapes = list(pool.map(lambda _: decode(content, 16, 8, "bicubic").shape, range(300)))
    assert set(shapes) == {(3, 16, 8)}
    assert list(warnings.filters) == before


def test_others_warnings_are_heard() -> None:
    with pillow_is_quiet(), pytest.warns(UserWarning, match="of ours"):
        warnings.warn("of ours", UserWarning, stacklevel=1)
