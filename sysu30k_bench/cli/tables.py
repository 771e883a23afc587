"""Tables that survive pipes and narrow terminals.

Where nothing limits the width, a row is a line, and a program that reads the output finds every value whole. Where
something does, text is wrapped first and whole columns go next; a number is never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sysu30k_bench.cli.console import Room, room, stdout_console

if TYPE_CHECKING:
    from rich.text import Text

_GAP = "  "
_LEAST_TEXT = 16


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: Its heading.
        kind: `number` is set to the right and never cut or wrapped, `name` is not wrapped where it can be helped,
            `text` may be wrapped.
        goes: Where there is too little room, columns go by this number, the largest first; 0 stays.
    """

    title: str
    kind: Literal["number", "name", "text"] = "text"
    goes: int = 0


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, title: str = "", bold: Sequence[int] = ()
) -> None:
    """Prints a table to stdout, and names the columns that had to go.

    Args:
        columns: The columns.
        rows: A value for each column.
        title: Printed above it.
        bold: Numbers of the rows to stress.
    """
    from rich.text import Text

    console = stdout_console()
    if title:
        console.print(Text(title, style="italic"), soft_wrap=True)
    for line in table_lines(columns, rows, room(), bold=bold):
        console.print(line, soft_wrap=True)


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], limit: Room, *, bold: Sequence[int] = ()
) -> list[Text]:
    """Sets a table.

    Args:
        columns: The columns.
        rows: A value for each column.
        limit: The room for it.
        bold: Numbers of the rows to stress.

    Returns:
        Its lines, none of them wider than `limit` unless a number alone is.
    """
    from rich.text import Text

    cells = [[" ".join(value.split()) for value in row] for row in rows]
    shown, widths = _fitted(columns, cells, limit.width)
    lines = []
    heading = [columns[place].title for place in shown]
    for number, row in enumerate([heading, *([row[place] for place in shown] for row in cells)]):
        style = "bold" if number == 0 or number - 1 in bold else ""
        across = zip(row, widths, shown, strict=True)
        parts = [_wrapped(value, width, columns[place], limit) for value, width, place in across]
        for level in range(max(len(part) for part in parts)):
            line = _GAP.join(
                _padded(part[level] if level < len(part) else "", width, columns[place])
                for part, width, place in zip(parts, widths, shown, strict=True)
            )
            lines.append(Text(line.rstrip(), style=style, no_wrap=True))
    gone = [column.title for place, column in enumerate(columns) if place not in shown and column.title]
    if gone:
        said = f"(no room for: {', '.join(gone)})"
        lines += [Text(part, style="dim", no_wrap=True) for part in _words(said, limit.width or len(said))]
    return lines


def _fitted(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None
) -> tuple[list[int], list[int]]:
    """Chooses the columns that are shown, and gives each its width."""
    natural = [
        max([_size(column.title), *(_size(row[place]) for row in cells)]) for place, column in enumerate(columns)
    ]
    least = [
        min(size, _LEAST_TEXT) if column.kind == "text" else size for size, column in zip(natural, columns, strict=True)
    ]
    shown = list(range(len(columns)))
    if width is None:
        return shown, natural

    def total(sizes: list[int]) -> int:
        return sum(sizes[place] for place in shown) + len(_GAP) * (len(shown) - 1)

    while total(least) > width and any(columns[place].goes for place in shown):
        shown.remove(max(shown, key=lambda place: (columns[place].goes, place)))
    widths = {place: least[place] for place in shown}
    spare = width - total(least)
    for place in sorted(shown, key=lambda place: natural[place]):  # those that need least are served first
        given = min(natural[place] - least[place], max(0, spare))
        widths[place] += given
        spare -= given
    for place in shown:  # what is left too wide is made of names: the first ones are folded
        if spare < 0 and columns[place].kind != "number":
            taken = min(-spare, widths[place] - min(widths[place], _LEAST_TEXT // 2))
            widths[place] -= taken
            spare += taken
    return shown, [widths[place] for place in shown]


def _wrapped(value: str, width: int, column: Column, limit: Room) -> list[str]:
    from rich.cells import cell_len, set_cell_size

    if cell_len(value) <= width or column.kind == "number":
        return [value]
    if limit.one_line:
        return [set_cell_size(value, width - 1).rstrip() + "…"]
    return _words(value, width)


def _words(text: str, width: int) -> list[str]:
    """Wraps a text between its words; only a word that is wider than the room is folded."""
    from rich.text import Text

    return [line.plain.rstrip() for line in Text(text).wrap(stdout_console(), width, overflow="fold")]


def _padded(value: str, width: int, column: Column) -> str:
    blank = " " * max(0, width - _size(value))
    return blank + value if column.kind == "number" else value + blank


def _size(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
