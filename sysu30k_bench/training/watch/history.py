"""One history of a watch: a row a checkpoint, and each query's rank, kept so that a restart resumes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import sha256_of_bytes, write_atomically
from sysu30k_bench.sealed import SealedDocument, document_fault

HISTORY_NAME, CSV_NAME, CURVE_NAME = "history.json", "history.csv", "history.png"
_MAX_BYTES = 64 << 20
_WITHOUT = "remove it: later checkpoints are then not compared with that one"


class Row(BaseModel):
    """What is known of one checkpoint; figures that a broken one does not have are absent.

    Attributes:
        name: Its path below the watched folder.
        sha256: Of its bytes.
        changed: When it was written, in seconds since 1970.
        adapter: The card that it was recognised by.
        figures: By name.
        flags: What is wrong, a word each: `unreadable`, `nan`, `collapse`, `drop`.
        reasons: The same in sentences.
        ranks_sha256: Of the table of its ranks; None without ranks, and in histories of earlier versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    changed: float
    adapter: str = ""
    figures: dict[str, float] = {}
    flags: list[str] = []
    reasons: list[str] = []
    ranks_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class _Document(SealedDocument):
    task: dict[str, str]
    rows: list[Row]


class History:
    """Rows in the order of evaluation.

    Args:
        folder: Where it is kept.
        task: What every checkpoint is evaluated on and how; another task is refused.

    Raises:
        IntegrityError: The folder holds a damaged history, or one of another task.
    """

    def __init__(self, folder: Path, task: dict[str, str]) -> None:
        self._folder, self._task = folder, task
        self.rows: list[Row] = []
        path = folder / HISTORY_NAME
        if not path.exists():
            return
        hint = "give another --output"
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
            document = _Document.model_validate_json(raw)
        except (OSError, ValidationError) as error:
            raise IntegrityError(f"{path} is damaged", hint=f"remove it, or {hint}") from error
        if fault := document_fault(raw):
            raise IntegrityError(f"{path} {fault}", hint=f"remove it, or {hint}")
        if document.task != task:
            changed = [f"{key} was {value!r} and is {task.get(key)!r}" for key, value in document.task.items()
                       if task.get(key) != value]  # fmt: skip
            raise IntegrityError(f"{path} is of another task", details=changed, hint=hint)
        self.rows = document.rows

    def knows(self, sha256: str) -> bool:
        """Returns whether a file of these bytes was evaluated."""
        return any(row.sha256 == sha256 for row in self.rows)

    def add(self, row: Row, ranks: pd.Series[float] | None = None) -> None:
        """Adds a row, and writes history, table and curve.

        Args:
            row: The row.
            ranks: Expected rank of the first match, by query; None for a checkpoint that could not be evaluated.
        """
        if ranks is not None:
            content = ranks.rename("first_rank").to_csv().encode()
            write_atomically(self._ranks(row.sha256), content)
            row = row.model_copy(update={"ranks_sha256": sha256_of_bytes(content)})
        self.rows.append(row)
        _Document(task=self._task, rows=self.rows).write_to(self._folder / HISTORY_NAME)
        self.tell()

    def tell(self) -> None:
        """Writes table and curve, unless they are of these rows: an interruption may come before them."""
        table = self._table()
        path = self._folder / CSV_NAME
        if not self.rows or (path.is_file() and path.read_bytes() == table):
            return
        drawn = _curve(self.rows)
        if drawn:
            write_atomically(self._folder / CURVE_NAME, drawn)
        write_atomically(path, table)  # last: it stands for the curve, too

    def _table(self) -> bytes:
        table = pd.DataFrame(
            [
                {
                    "name": one.name,
                    "sha256": one.sha256,
                    "changed": one.changed,
                    **one.figures,
                    "flags": " ".join(one.flags),
                }
                for one in self.rows
            ]
        )
        return table.to_csv(index=False).encode()

    def ranks(self, row: Row) -> pd.Series[float] | None:
        """Returns the ranks of an evaluated checkpoint; None where they are gone.

        Raises:
            IntegrityError: They are not the ones that were written.
        """
        path = self._ranks(row.sha256)
        if not path.is_file():
            return None
        content = path.read_bytes()
        if row.ranks_sha256 not in {None, sha256_of_bytes(content)}:
            raise IntegrityError(f"{path} was changed or damaged: the history records other ranks", hint=_WITHOUT)
        try:
            found = pd.read_csv(io.BytesIO(content), index_col="query")["first_rank"]
        except (ValueError, KeyError, TypeError) as error:  # TypeError: pandas, of an empty table
            raise IntegrityError(f"{path} is damaged", hint=_WITHOUT) from error
        return found

    def _ranks(self, sha256: str) -> Path:
        return self._folder / "ranks" / f"{sha256[:16]}.csv"

    def as_json(self) -> str:
        """Returns the rows as JSON."""
        return json.dumps([row.model_dump() for row in self.rows], indent=1)


def _curve(rows: list[Row]) -> bytes:
    """Draws rank-1 with its interval, AP, mean log rank and RankMe; nothing where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return b""
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    places = np.arange(1, len(rows) + 1)

    def column(name: str) -> np.ndarray:
        return np.array([row.figures.get(name, np.nan) for row in rows])

    panels[0].plot(places, column("rank1"), marker=".")
    panels[0].fill_between(places, column("rank1_low"), column("rank1_high"), alpha=0.25)
    for panel, name, title in zip(
        panels,
        ("rank1", "ap", "log_rank", "rankme"),
        ("rank-1, 95 % interval", "AP (standard)", "mean log rank (lower is better)", "RankMe (this run alone)"),
        strict=True,
    ):
        if name != "rank1":
            panel.plot(places, column(name), marker=".")
        for place, row in zip(places, rows, strict=True):
            if row.flags:
                panel.axvline(place, color="tab:red", alpha=0.4)
        panel.set(title=title, xlabel="checkpoint, in the order of evaluation")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
