"""What was found, counted and as a table."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.torture.processes import End

VIOLATION = "VIOLATION"


@dataclass
class Ledger:
    """Counts the outcomes of attacks, and keeps what must not happen.

    Attributes:
        log: Where each violation is written in full.
        outcomes: For each attack and its target, how often what came of it.
        violations: What must not happen: the attack, its target and what was wrong.
        notes: How much of what could be tried was tried.
    """

    log: Path | None = None
    outcomes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    violations: list[tuple[str, str, str]] = field(default_factory=list)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)

    def count(self, attack: str, target: str, outcome: str, times: int = 1) -> None:
        """Counts an outcome."""
        self.outcomes.setdefault((attack, target), Counter())[outcome] += times

    def note(self, attack: str, target: str, text: str) -> None:
        """Notes how much was tried."""
        self.notes[attack, target] = text

    def wrong(self, attack: str, target: str, what: str, end: End | None = None) -> None:
        """Notes a violation."""
        self.violations.append((attack, target, what))
        text = f"{attack} | {target} | {what}\n" + (f"{end.err[-2000:]}\n" if end and end.err else "")
        print(f"VIOLATION: {attack}, {target}: {what[:300]}", file=sys.stderr, flush=True)
        if self.log:
            with self.log.open("a") as file:
                file.write(text)

    def check(self, attack: str, target: str, outcome: str, wrong: list[str], end: End | None = None) -> None:
        """Counts an outcome, or a violation where something is wrong."""
        self.count(attack, target, VIOLATION if wrong else outcome)
        for line in wrong:
            self.wrong(attack, target, line, end)

    def summary(self) -> str:
        """Returns a table with a row for each attack, over all of its targets."""
        whole = Ledger()
        targets: Counter[str] = Counter()
        for (attack, _), counted in self.outcomes.items():
            targets[attack] += 1
            for outcome, times in counted.items():
                whole.count(attack, "", outcome, times)
        for attack, number in targets.items():
            whole.outcomes[attack, f"{number} of them"] = whole.outcomes.pop((attack, ""))
        return whole.markdown()

    def markdown(self) -> str:
        """Returns the table."""
        lines = ["| attack | target | times | violations | outcomes |", "| --- | --- | ---: | ---: | --- |"]
        for (attack, target), counted in self.outcomes.items():
            kinds = "; ".join(f"{number:,} {name}" for name, number in counted.most_common() if name != VIOLATION)
            kinds += f" ({note})" if (note := self.notes.get((attack, target))) else ""
            total, bad = sum(counted.values()), counted[VIOLATION]
            lines.append(f"| {attack} | {target} | {total:,} | {bad:,} | {kinds} |")
        return "\n".join(lines)
