"""Writing one finished thing while the next one is made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """Does pieces of work one after the other beside this thread, and keeps their results in order.

    At most one piece waits or runs, so that no more than one finished shard is held in memory. Leaving the block waits
    for it, after an error too: what was made is written.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "writing")
        self._last: Future[Result] | None = None
        self._results: list[Result] = []

    def __enter__(self) -> Background[Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)

    def do(self, work: Callable[[], Result]) -> None:
        """Starts a piece of work; waits for the one before it, and raises what that raised."""
        self._wait()
        self._last = self._pool.submit(work)

    def results(self) -> list[Result]:
        """Waits for all work and returns what it returned, in order; raises what it raised."""
        self._wait()
        return self._results

    def _wait(self) -> None:
        if self._last is not None:
            last, self._last = self._last, None
            self._results.append(last.result())
