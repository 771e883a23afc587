"""What a person types for a path, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sysu30k_bench.cli.paths import typed_path
from sysu30k_bench.errors import UsageError
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


@pytest.mark.parametrize(
    "address", ["https://host/net.pth", "HTTP://host/x", "s3://bucket/key", "hf://user/model", "file:///data/net.pth"]
)
def test_an_address_is_shown_as_it_was_typed(address: str) -> None:
    """A path would have eaten one of its slashes."""
    with pytest.raises(UsageError, match="is an address, not a path") as caught:
        typed_path(address, "--data")
    assert f"--data: {address} " in str(caught.value)


def test_a_tilde_in_quotes_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/runs/new", "--output") == tmp_path / "runs/new"
    assert typed_path("~", "--data") == tmp_path
    assert typed_path("~nobody-of-that-name/x", "--data") == Path("~nobody-of-that-name/x")
    (tmp_path / "~").mkdir()
    assert typed_path("~/x", "--data") == Path("~/x"), "a folder of that very name is there"
    assert typed_path("./a~b", "--data") == Path("a~b")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_path_is_not_this_folder(text: str) -> None:
    with pytest.raises(UsageError, match="--data is empty"):
        typed_path(text, "--data")


def test_every_command_judges_what_was_typed(bench: Bench, stripes_checkpoint: Path, tmp_path: Path) -> None:
    for words in (
        ("eval", "https://host/net.pth", "--data", tmp_path),
        ("eval", stripes_checkpoint, "--data", "https://host/data.tar"),
        ("eval", stripes_checkpoint, "--data", tmp_path, "--output", "s3://bucket/run"),
        ("eval", stripes_checkpoint, "--data", tmp_path, "--adapter", "https://host/card.toml"),
        ("adapters", "which", "https://host/net.pth"),
        ("data", "lists", "https://host/data"),
        ("compare", "https://host/a", "b"),
        ("search", "https://host/run"),
        ("train", "https://host/recipe.toml", "--data", tmp_path),
        ("leaderboard", "check", "https://host/board"),
    ):
        outcome = bench(*words, cwd=tmp_path)
        assert outcome.code == 2, words
        assert "://" in outcome.err, words
        assert "is an address, not a path" in outcome.err


def test_quoted_home_is_evaluated(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(stripes_checkpoint.read_bytes())
    outcome = bench("eval", "~/net.pth", "--data", twin, "--output", "~/run", cwd=twin, env={"HOME": str(tmp_path)})
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "run" / "result.json").is_file()
