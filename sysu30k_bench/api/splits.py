"""All standard splits of a benchmark: a result for each, and their mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.api.result import Result
from sysu30k_bench.evaluation.splits import SplitSummary
from sysu30k_bench.results.titles import TITLES


@dataclass(frozen=True)
class SplitResults:
    """The results of all standard splits.

    Attributes:
        summary: Mean and deviation of every metric, as `splits.json` has them.
        results: Of each split, in order.
        folder: The folder above the run folders; None where they are in memory.
    """

    summary: SplitSummary
    results: list[Result]
    folder: Path | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The means by name, for a logger."""
        return {name: spread.mean for name, spread in self.summary.metrics.items()}

    def __repr__(self) -> str:
        lines = [f"{self.summary.dataset}: mean of {self.summary.splits} splits, and their standard deviation"]
        for name, spread in self.summary.metrics.items():
            lines.append(f"  {TITLES.get(name, name):<15} {spread.mean * 100:>7.2f}   {spread.deviation * 100:.2f}")
        return "\n".join(lines)
