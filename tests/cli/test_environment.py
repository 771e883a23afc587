"""Options as environment variables, and variables that are none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sysu30k_bench.cli.environment import unknown_variables
from sysu30k_bench.cli.program import cli


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYSU30K_BENCH_EVAL_BATCHSIZE", "SYSU30K_BENCH_EVAL_BATCH_SIZE"),
        ("SYSU30K_BENCH_EVALUATE_DEVICE", "SYSU30K_BENCH_EVAL_DEVICE"),
        ("SYSU30K_BENCH_LEADERBOARD_CHECK_BAS", "SYSU30K_BENCH_LEADERBOARD_CHECK_BASE"),
        ("SYSU30K_BENCH_SEARCH_LAMBDA", "SYSU30K_BENCH_SEARCH_WEIGHT"),  # as the option is spelt
        ("SYSU30K_BENCH_SEARCH_SELF", "SYSU30K_BENCH_SEARCH_ITSELF"),
        ("SYSU30K_BENCH_search_top_k", "SYSU30K_BENCH_SEARCH_TOP_K"),
        ("SYSU30K_BENCH_TRACEBAK", "SYSU30K_BENCH_TRACEBACK"),
        ("SYSU30K_BENCH_VERSION", ""),
        ("SYSU30K_BENCH_SEARCH_RUN", ""),
        ("SYSU30K_BENCH_DEVICE", ""),
        ("SYSU30K_BENCH_X", ""),
        ("SYSU30K_BENCH_", ""),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    said = unknown_variables(cli, {name: "1", "PATH": "/bin"})
    hint = f"; did you mean {meant}?" if meant else ""
    assert said == [f"the environment variable {name} belongs to no option, and is ignored{hint}"]


def test_variables_of_options_and_of_other_programs_are_not() -> None:
    names = ("SYSU30K_BENCH_EVAL_DATA", "SYSU30K_BENCH_SSL_SUITE_SEEDS", "SYSU30K_BENCH_TRACEBACK", "SYSU30K", "HOME")
    assert unknown_variables(cli, dict.fromkeys(names, "1")) == []


def test_a_run_warns_on_stderr_and_goes_on() -> None:
    environment = {**os.environ, "SYSU30K_BENCH_SCORE_RANK": "1"}
    words = [sys.executable, "-m", "sysu30k_bench", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == (
        "warning: the environment variable SYSU30K_BENCH_SCORE_RANK belongs to no option, and is ignored; did you mean "
        "SYSU30K_BENCH_SCORE_RANKS?\n"
    )
    assert done.stdout.startswith("sysu30k-bench")


def test_an_image_that_names_its_version_runs_every_command() -> None:
    environment = {**os.environ, "SYSU30K_BENCH_VERSION": "2.0"}
    words = [sys.executable, "-m", "sysu30k_bench", "adapters", "list"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert "colour_stripes" in done.stdout


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
    command = [sys.executable, "-m", "sysu30k_bench", *words]
    environment = {**os.environ, "SYSU30K_BENCH_FOO": "1", "PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, env=environment, check=False)
    assert (done.returncode, result in done.stdout) == (code, True)


def test_a_reader_of_messages_that_leaves_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sysu30k_bench", "adapters", "list"]
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
def test_results_that_cannot_be_written_are_told_in_lines_of_their_own() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "sysu30k_bench", "adapters", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "No space left on device\nWhat to do: " in done.stderr
