from __future__ import annotations

from pathlib import Path

import click
import pytest

from sysu30k_bench.cli.console import TerminalProgress
from sysu30k_bench.cli.requests import export_request
from sysu30k_bench.cli.values import NetworkOption, Size, Triple


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2 * 10**9),
        ("512MB", 512 * 10**6),
        ("1.5 gb", 1_500_000_000),
        ("1GiB", 2**30),
        ("20000000", 20_000_000),
        ("64mib", 2**26),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "much", "-2GB", "2 parsecs", "1KB", "0", "nanGB", "1e9", "2GBGB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Size().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("last_stride=1", ("last_stride", 1)),
        ("p=2.5", ("p", 2.5)),
        ("ibn=true", ("ibn", True)),
        ("pool=max", ("pool", "max")),
        ("name=", ("name", "")),
        ("when=2020-01-01", ("when", "2020-01-01")),
    ],
)
def test_network_options(text: str, pair: tuple[str, object]) -> None:
    found = NetworkOption().convert(text, None, None)
    assert found == pair
    assert type(found[1]) is type(pair[1])


@pytest.mark.parametrize(
    "text", ["last_stride", "=1", "a b=1", "", "n=" + "9" * 10_000, "n=0x" + "f" * 99, "n=" + "[" * 50_000]
)
def test_what_is_no_network_option(text: str) -> None:
    with pytest.raises(click.BadParameter):
        NetworkOption().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0.5", (0.5, 0.5, 0.5)), ("0.485,0.456,0.406", (0.485, 0.456, 0.406)), ("0, -1, 2e2", (0.0, -1.0, 200.0))],
)
def test_three_numbers(text: str, numbers: tuple[float, float, float]) -> None:
    assert Triple().convert(text, None, None) == numbers


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "red", "nan", "1,inf,1"])
def test_what_is_not_three_numbers(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Triple().convert(text, None, None)


def test_what_the_user_says_of_the_input_is_gathered_and_the_rest_stays_the_cards() -> None:
    options = {"height": 384, "width": None, "mean": (0.0, 0.0, 0.0), "std": None, "scale": None, "channels": None}
    given = {"checkpoint": Path("w.pth"), "network_options": [("last_stride", 1)], "interpolation": None, **options}
    request = export_request({**given, "weights": "ema", "camera": 3, "engine": "auto"})
    assert request.input == {"height": 384, "mean": (0.0, 0.0, 0.0)}
    assert (request.weights, request.camera, request.network_options) == ("ema", 3, {"last_stride": 1})


def test_progress_off_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sysu30k_bench.cli import console

    clock = iter([0.0, 0.0, 1.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    progress = TerminalProgress()
    progress.begin("gallery", 100, "images")
    progress.advance(10)
    progress.advance(45)
    progress.advance(45)
    progress.end()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["gallery: 100 images", "gallery: 55 of 100 images, 5.0 images/s, 0:00:09 left"]


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress(quiet=True)
    progress.begin("gallery", 100, "images")
    progress.advance(100)
    progress.end()
    assert capsys.readouterr().err == ""
