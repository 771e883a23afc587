"""Any form of a board or of one row, by the form's name."""

from __future__ import annotations

import time

from sysu30k_bench.board.forms.croissant import croissant
from sysu30k_bench.board.forms.every_eval import every_eval
from sysu30k_bench.board.forms.hub import eval_results, eval_yaml
from sysu30k_bench.board.forms.in_toto import statement
from sysu30k_bench.board.model_index import model_index
from sysu30k_bench.board.render import Board, as_table
from sysu30k_bench.board.rows import ROWS

_NO_DATE = "2021"


def form_of_board(board: Board, form: str) -> bytes:
    """Writes `eval-yaml` or `croissant`.

    Args:
        board: The board.
        form: Its name.

    Raises:
        UsageError: The form is not of such a board.
    """
    if form == "eval-yaml":
        return eval_yaml(board.rules)
    table = as_table(board.rows, board.groups).to_csv(index=False, lineterminator="\n").encode()
    return croissant(board.rules, table, max((row.date for row in board.rows if row.date), default=_NO_DATE))


def form_of_row(board: Board, form: str, name: str, hub_dataset: str | None = None) -> bytes:
    """Writes `model-index`, `eval-results`, `every-eval` or `in-toto`.

    Args:
        board: The board.
        form: Its name.
        name: Id of the row.
        hub_dataset: The benchmark's repository on the hub, for `eval-results`.

    Raises:
        UsageError: The form is not of such a row.
    """
    row = next(one for one in board.rows if one.id == name)
    if form == "model-index":
        return model_index(row)
    if form == "eval-results":
        return eval_results(row, hub_dataset or "")
    if form == "in-toto":
        return statement(row, (board.folder / ROWS / f"{name}.json").read_bytes())
    return every_eval(row, board.evidence.get(name), int(time.time()))
