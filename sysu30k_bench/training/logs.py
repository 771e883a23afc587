"""What a run tells: a CSV, TensorBoard, a curve."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import pandas as pd

from sysu30k_bench.files import unwritable, write_atomically

_SECONDS_BETWEEN_DRAWINGS = 30.0
CSV_NAME, CURVE_NAME, BOARD_NAME = "epochs.csv", "curve.png", "tensorboard"


class Logs:
    """Writes what is known of a run; TensorBoard and matplotlib where they are installed, and not too often.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = 0
        self._drawn = 0.0

    def note(self, history: list[dict[str, float]], *, final: bool) -> None:
        """Rewrites the CSV, so that a resumed run has one unbroken record; at the end, everything.

        TensorBoard is told of all epochs by each process: what a killed one had told, and what it had not, is the same.

        Args:
            history: A row of figures for each finished epoch.
            final: Whether this was the last epoch.

        Raises:
            DataError: The folder cannot be written.
        """
        table = pd.DataFrame(history)
        write_atomically(self._folder / CSV_NAME, table.to_csv(index=False).encode())
        if not final and time.monotonic() - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        with contextlib.suppress(ImportError):
            _board(self._folder / BOARD_NAME, history[self._told :])
            self._told = len(history)
        with contextlib.suppress(ImportError):
            write_atomically(self._folder / CURVE_NAME, _curve(table))
        self._drawn = time.monotonic()


def _board(folder: Path, rows: list[dict[str, float]]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    if not rows:
        return
    try:
        writer = SummaryWriter(str(folder), purge_step=int(rows[0]["epoch"]))
        for row in rows:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, int(row["epoch"]))
        writer.close()
    except OSError as error:
        raise unwritable(folder, error) from error


def _curve(table: pd.DataFrame) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("loss", "unary", "pairwise", "triplet"):
        if name in table and table[name].any():
            left.plot(table["epoch"], table[name], label=name)
    left.set(title="loss", xlabel="epoch")
    left.legend()
    if "effective_rank" in table:
        right.plot(table["epoch"], table["effective_rank"], marker=".", label="effective rank")
    for name in ("pseudo_label_agreement", "validation_rank1"):
        if name in table and table[name].notna().any():
            shown = table[table[name].notna()]
            right.plot(shown["epoch"], shown[name], marker=".", label=name.replace("_", " "))
    right.set(xlabel="epoch")
    if "effective_rank" not in table:
        right.set(title="share right", ylim=(0, 1))
    if right.lines:
        right.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
