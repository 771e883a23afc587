"""What a run tells: a CSV, TensorBoard, a curve."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pandas as pd

from sysu30k_bench.files import write_atomically

CSV_NAME, CURVE_NAME, BOARD_NAME = "epochs.csv", "curve.png", "tensorboard"


def write_logs(folder: Path, history: list[dict[str, float]]) -> None:
    """Writes all that is known anew, so that a run that went on has one unbroken record.

    TensorBoard and matplotlib are used where they are installed.

    Args:
        folder: The run's folder.
        history: A row of figures for each finished epoch.
    """
    if not history:
        return
    table = pd.DataFrame(history)
    write_atomically(folder / CSV_NAME, table.to_csv(index=False).encode())
    with contextlib.suppress(ImportError):
        _board(folder / BOARD_NAME, history[-1])
    with contextlib.suppress(ImportError):
        write_atomically(folder / CURVE_NAME, _curve(table))


def _board(folder: Path, row: dict[str, float]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=int(row["epoch"]))
    for name, value in row.items():
        if name != "epoch":
            writer.add_scalar(name, value, int(row["epoch"]))
    writer.close()


def _curve(table: pd.DataFrame) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("loss", "unary", "pairwise", "triplet"):
        if table[name].any():
            left.plot(table["epoch"], table[name], label=name)
    left.set(title="loss", xlabel="epoch")
    left.legend()
    for name in ("pseudo_label_accuracy", "validation_rank1"):
        if name in table and table[name].notna().any():
            shown = table[table[name].notna()]
            right.plot(shown["epoch"], shown[name], marker=".", label=name.replace("_", " "))
    right.set(title="right", xlabel="epoch", ylim=(0, 1))
    if right.lines:
        right.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
