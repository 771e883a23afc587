"""Tables: a row is a line where a program reads, and a number is whole wherever a person does."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysu30k_bench.cli.console import Room
from sysu30k_bench.cli.tables import Column, table_lines
from tests.conftest import Outcome, Zygote
from tests.results.test_compare import write_ranking

Bench = Callable[..., Outcome]
COLUMNS = (
    Column("method", "name"),
    Column("rank-1 %", "number"),
    Column("95 % interval", "number", goes=1),
    Column("supervision", goes=2),
    Column("claimed by", goes=3),
)
ROWS = [
    ("IICS", "36.0", "33.1 to 39.0", "generalization", "a third party, issue 11"),
    ("A method with a name of many words", "1,000.0", "999.9 to 1,000.0", "weakly supervised", "the authors"),
]


def plain(width: int | None, *, one_line: bool = False) -> list[str]:
    return [line.plain for line in table_lines(COLUMNS, ROWS, Room(width, one_line))]


def test_without_a_limit_every_row_is_a_line_with_every_value() -> None:
    lines = plain(None, one_line=True)
    assert len(lines) == 3
    for line, row in zip(lines[1:], ROWS, strict=True):
        assert re.split(r" {2,}", line) == list(row)
    assert lines[1].index("36.0") + len("36.0") == lines[2].index("1,000.0") + len("1,000.0")


def test_columns_go_before_anything_is_cut() -> None:
    assert plain(90)[0].split()[-1] == "supervision"
    assert plain(90)[-1] == "(no room for: claimed by)"
    narrow = plain(62)
    assert narrow[0].split() == ["method", "rank-1", "%", "95", "%", "interval"]
    assert narrow[1].split()[-3:] == ["33.1", "to", "39.0"]
    least = plain(40)
    assert least[0].split() == ["method", "rank-1", "%"]
    assert "1,000.0" in "\n".join(least)
    assert all(len(line) <= 40 for line in least)


@given(st.integers(18, 140), st.booleans())
def test_no_number_is_cut_at_any_width(width: int, one_line: bool) -> None:
    lines = plain(width, one_line=one_line)
    shown = "\n".join(lines)
    for row in ROWS:
        assert row[1] in shown
        assert (row[2] in shown) == ("interval" in lines[0])
    assert all(len(line) <= max(width, 18) for line in lines)
    if one_line:
        assert sum(row[1] in line for row in ROWS for line in lines) == 2
        assert len([line for line in lines if not line.startswith("(no room") and line.strip()]) >= 3


def test_a_row_stays_a_line_in_a_pipe_of_a_known_width() -> None:
    lines = plain(50, one_line=True)
    assert [line.split()[0] for line in lines[:3]] == ["method", "IICS", "A"]
    wide = [line.plain for line in table_lines(COLUMNS[:1], [("word " * 30,)], Room(20, one_line=True))]
    assert wide[1].endswith("…")
    assert len(wide) == 2


def test_text_of_two_columns_a_letter() -> None:
    lines = [
        line.plain
        for line in table_lines(COLUMNS[:2], [("行人重识别", "1.0"), ("ab", "2.0")], Room(None, one_line=True))
    ]
    assert lines[1] == "行人重识别       1.0"
    assert lines[2] == "ab               2.0"


def test_commands_in_a_pipe(bench: Bench, tmp_path: Path) -> None:
    shown = bench("leaderboard", "show", env={"COLUMNS": ""}).out
    rows = bench("leaderboard", "show", "--json").json
    for row in rows:
        (line,) = (line for line in shown.splitlines() if line.startswith(row["method"] + "  "))
        assert line.endswith(row["claimed_by"])
        assert f"{row['rank1'] * 100:.1f}" in line
    long = write_ranking(tmp_path / ("a-run-with-a-long-name" * 4), [1] * 30 + [2] * 70)
    short = write_ranking(tmp_path / "short", [1] * 45 + [2] * 55)
    compared = bench("compare", long, short, env={"COLUMNS": ""}).out.splitlines()
    assert re.split(r" {2,}", compared[1]) == [long.name, "30.00", "65.00"]


@pytest.mark.parametrize("words", [("leaderboard", "show"), ("adapters", "list"), ("doctor",)])
def test_commands_at_40_columns(bench: Bench, words: tuple[str, ...]) -> None:
    narrow, whole = (bench(*words, env={"COLUMNS": columns}).out for columns in ("40", ""))
    if words[0] == "leaderboard":
        table = narrow.partition("(no room for")[0]
        assert all(len(line) <= 40 for line in table.splitlines())
        assert re.findall(r"\d+\.\d$", table, re.MULTILINE) == re.findall(r"^.*?  +(\d+\.\d) ", whole, re.MULTILINE)
    assert "..." not in narrow.partition("(no room for")[0]


def on_a_terminal(zygote: Zygote, columns: int, *words: object) -> str:
    """Runs a command with a terminal of so many columns for its stdout."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = zygote.begin(*words, env={"COLUMNS": "", "NO_COLOR": "1", "TERM": "xterm"}, stdout=os.ttyname(slave))
    code, said = process.wait()
    assert code == 0, said
    out = os.read(master, 65536)
    os.close(slave)
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.decode().replace("\r", ""))


def test_a_result_on_a_terminal_of_40_columns(zygote: Zygote, tmp_path: Path) -> None:
    run = write_ranking(tmp_path / "run", [1] * 300 + [2] * 700)
    shown = on_a_terminal(zygote, 40, "score", run)
    for text in ("rank-1           30.00", "AP (standard)    65.00", "27.24 to 32.91"):
        assert text in shown
    assert all(len(line) <= 40 for line in shown.splitlines())
    least = on_a_terminal(zygote, 30, "score", run)
    assert "rank-1           30.00" in least
    assert "27.24" not in least
    assert "(no room for: 95 % interval)" in least
