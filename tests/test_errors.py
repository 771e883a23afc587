"""Messages are texts for a terminal and a log, whatever names of a stranger are in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.errors import DataError, plain
from sysu30k_bench.models.cards import read_card


def test_what_a_terminal_acts_on_is_written_as_an_escape() -> None:
    error = DataError("a \x1b[2J\nWhat to do: b", details=["\u202egpj.exe", "\udcff"], hint="c\x9b\td")
    assert str(error) == "a \\x1b[2J\\nWhat to do: b\n  \\u202egpj.exe\n  \\udcff\nWhat to do: c\\x9b\\td"
    assert error.args == ("a \\x1b[2J\\nWhat to do: b",)
    assert plain("Müller, 深度") == "Müller, 深度"


def test_a_name_that_is_longer_than_a_screen_is_cut_in_the_middle() -> None:
    error = DataError(f"no column {'x' * 30_000}; it has none", details=["y" * 5_000], hint="z" * 5_000)
    assert error.message.startswith("no column xxx")
    assert error.message.endswith("xxx; it has none")
    assert max(map(len, str(error).splitlines())) < 4_100


def test_a_card_cannot_clear_the_screen(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('["\\u001b[2J"]\na = 1\n')
    with pytest.raises(Exception, match="not an adapter card") as caught:
        read_card(tmp_path / "a.toml")
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2J: Extra inputs" in str(caught.value)
