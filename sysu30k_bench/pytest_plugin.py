"""Pytest fixtures that fail a test when a method regresses; pytest finds them by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sysu30k_bench.training.ssl.recipe import MethodName
    from sysu30k_bench.training.suite.task import Factory


@pytest.fixture
def sysu30k_gate() -> Callable[..., None]:
    """Gives a function that fails the test unless a run is no worse than its baseline.

    Example:
        ```python
        def test_no_regression(sysu30k_gate):
            sysu30k_gate("runs/new", "runs/released", max_drop=0.01)
        ```
    """

    def check(
        run: str | Path, baseline: str | Path, *, max_drop: float = 0.01, alpha: float = 0.05, metric: str = "rank1"
    ) -> None:
        from sysu30k_bench.gate.gate import gate
        from sysu30k_bench.results.ranked_run import read_runs

        verdict = gate(*read_runs([Path(run), Path(baseline)]), max_drop=max_drop, alpha=alpha, metric=metric)
        if not verdict.passed:
            pytest.fail(f"{verdict.outcome}: {verdict.reason}", pytrace=False)

    return check


@pytest.fixture
def sysu30k_ssl_method() -> Callable[..., None]:
    """Gives a function that fails the test where an implementation is not the method that it claims to be.

    Example:
        ```python
        def test_my_byol(sysu30k_ssl_method):
            sysu30k_ssl_method("byol", MyBYOL)
        ```
    """

    def check(method: MethodName, factory: Factory, *, seeds: int = 2, alpha: float = 0.01) -> None:
        from sysu30k_bench.training.suite import check_method

        verdict = check_method(method, factory, seeds=seeds, alpha=alpha)
        if not verdict.passed:
            pytest.fail(f"not {method}: {verdict.reason}", pytrace=False)

    return check
