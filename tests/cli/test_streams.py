"""Streams that are full, closed, slow, or of an encoding that lacks letters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

TOOL = [sys.executable, "-m", "sysu30k_bench"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")  # noqa: PTH110
@pytest.mark.parametrize(
    ("words", "code", "result", "encoding"),
    [
        (("adapters", "list"), 0, "colour_stripes", "utf-8"),
        (("adapters", "list"), 0, "colour_stripes", "ascii"),  # which lacks the sign for what was cut
        (("leaderboard", "check", "leaderboard"), 0, "no fault found", "utf-8"),  # which says that it loads
        (("search", "nowhere"), 3, "", "utf-8"),
        (("no-such-command",), 2, "", "utf-8"),
    ],
)
def test_messages_that_cannot_be_written_change_no_outcome(
    words: tuple[str, ...], code: int, result: str, encoding: str
) -> None:
    environment = {**os.environ, "SYSU30K_BENCH_FOO": "1", "PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*TOOL, *words], stdout=subprocess.PIPE, stderr=full, text=True, env=environment, check=False
        )
    assert (done.returncode, result in done.stdout) == (code, True)


def test_a_reader_of_messages_that_leaves_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*TOOL, "adapters", "list"]
    environment = {**os.environ, "SYSU30K_BENCH_FOO": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True, env=environment, check=False)
    os.close(writer)
    assert (done.returncode, "colour_stripes" in done.stdout) == (0, True)


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("search nowhere", 3), ("adapters list", 0)])
def test_streams_that_are_closed_from_the_start_change_no_outcome(words: str, code: int, closed: str) -> None:
    command = f"{sys.executable} -m sysu30k_bench {words} {closed}"
    assert subprocess.run(command, shell=True, capture_output=True, check=False).returncode == code  # noqa: S602


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")  # noqa: PTH110
@pytest.mark.parametrize("words", [("adapters", "list"), ("adapters", "show", "dgl", "--json"), ("--help",)])
def test_results_that_cannot_be_written_are_told(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([*TOOL, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "error: stdout cannot be written: No space left on device\nWhat to do: " in done.stderr


@pytest.mark.parametrize("words", [("adapters", "list"), ("adapters", "show", "dgl", "--json"), ("--help",)])
def test_a_reader_of_results_that_leaves_is_no_failure(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*TOOL, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_slow_reader_of_results_gets_all_of_them() -> None:
    command = [*TOOL, "adapters", "list", "--json"]
    whole = subprocess.run(command, capture_output=True, check=True).stdout
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    assert len(whole) > (1 << 16)  # more than a pipe holds
    process = subprocess.Popen(command, stdout=writer)
    os.close(writer)
    time.sleep(0.5)
    with os.fdopen(reader, "rb") as slow:
        assert slow.read() == whole
    assert process.wait() == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1251", "utf-8"])
def test_json_stays_json_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "é_щ_😀.pth"
    torch.save({"weight": torch.zeros(2, 2)}, path)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*TOOL, "adapters", "which", path, "--json"], capture_output=True, env=environment, check=False
    )
    assert json.loads(done.stdout.decode("utf-8" if encoding == "ascii" else encoding))["file"].endswith(path.name)


@pytest.mark.parametrize("stderr", ["/dev/full", None])
def test_an_interruption_while_loading_has_its_code_without_a_stderr(stderr: str | None) -> None:
    program = (
        "import os, signal, sys\n"
        "class Hook:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'sysu30k_bench.cli.program':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Hook())\n"
        "from sysu30k_bench.cli.main import main\n"
        "main()\n"
    )
    where = "2>&-" if stderr is None else f"2>{stderr}"
    command = ["bash", "-c", f'exec "$0" -c "$1" --version {where}', sys.executable, program]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 128 + signal.SIGINT


def test_a_broken_pipe_of_the_work_is_not_taken_for_a_reader_that_left() -> None:
    program = (
        "from unittest import mock\n"
        "broken = mock.Mock(side_effect=BrokenPipeError(32, 'Broken pipe'))\n"
        "with mock.patch('sysu30k_bench.models.cards.all_cards', broken):\n"
        "    from sysu30k_bench.cli.main import main\n"
        "    main()\n"
    )
    command = [sys.executable, "-c", program, "adapters", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Broken pipe" in done.stderr) == (3, True)
