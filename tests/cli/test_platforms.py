"""Platforms: Windows is refused before anything else happens, in words, with the exit code of a wrong use."""

from __future__ import annotations

import sys

import pytest

from sysu30k_bench.cli import main as program


def test_windows_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(program.INTERRUPTS, "take", lambda: pytest.fail("a signal was taken"))
    with pytest.raises(SystemExit) as caught:
        program.main()
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Windows is not supported" in err
    assert "What to do:" in err
