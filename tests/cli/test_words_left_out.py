"""What a user left out or gave twice: everything that is missing is named at once, and a board in either way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome

Bench = Callable[..., Outcome]
PUBLISHED = Path(__file__).parents[2] / "leaderboard"


def test_everything_that_is_missing_is_named_at_once(bench: Bench) -> None:
    said = bench("submit", "--method", "mine")
    assert said.code == 2
    assert "Missing: RUN, --id, --supervision, --source, --claimed-by, --weights." in said.err
    said = bench("leaderboard", "audit", "row", "--by", "me")
    assert said.code == 2
    assert "Missing: --run, --checkpoint, --nonce." in said.err


def test_one_missing_option_is_named_in_clicks_words(bench: Bench) -> None:
    given = ["--method", "a", "--supervision", "none", "--source", "b", "--claimed-by", "c", "--weights", "d"]
    said = bench("submit", "run", *given)
    assert said.code == 2
    assert "Missing option '--id'" in said.err


def test_a_wrong_value_is_not_called_missing(bench: Bench) -> None:
    said = bench("submit", "run", "--supervision", "unheard of", "--id", "a")
    assert said.code == 2
    assert "--supervision" not in said.err.partition("Missing")[2]


@pytest.mark.parametrize("words", [("check",), ("queries", "--json"), ("render", "--check"), ("show", "--json")])
def test_a_board_is_an_argument_or_an_option(bench: Bench, words: tuple[str, ...]) -> None:
    argument = bench("leaderboard", *words, PUBLISHED)
    option = bench("leaderboard", *words, "--board", PUBLISHED)
    assert (argument.code, argument.out, argument.err) == (option.code, option.out, option.err)
    assert argument.code != 2
    twice = bench("leaderboard", *words, PUBLISHED, "--board", PUBLISHED)
    assert twice.code == 2
    assert "use one of them" in twice.err
