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
