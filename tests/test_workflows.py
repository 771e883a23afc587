"""The workflow files: valid, and every command in them one that there is, with options that it has."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from sysu30k_bench.cli.main import cli

ROOT = Path(__file__).parents[1]
FILES = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), *sorted((ROOT / "docs" / "workflows").glob("*.yml"))]


def scripts(value: Any) -> Iterator[str]:
    """Every `run`, continuation lines joined."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "run":
                yield str(item).replace("\\\n", " ")
            else:
                yield from scripts(item)
    elif isinstance(value, list):
        for item in value:
            yield from scripts(item)


def commands(path: Path) -> list[str]:
    """Every line that calls the program."""
    lines = [
        line.strip() for script in scripts(yaml.safe_load(path.read_text("utf-8"))) for line in script.splitlines()
    ]
    return [line for line in lines if line.startswith("sysu30k-bench")]


def test_there_are_workflows() -> None:
    names = {
        "tests.yml",
        "docs.yml",
        "release.yml",
        "leaderboard.yml",
        "regression-gate.yml",
        "ssl-suite.yml",
        "sign-row.yml",
    }
    assert {path.name for path in FILES} == names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_digest_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert used
    assert not [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)]


def test_an_action_has_one_digest_everywhere() -> None:
    used = {one for path in FILES for one in re.findall(r"uses: (\S+)@(\S+)", path.read_text("utf-8"))}
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_make_targets_exist(path: Path) -> None:
    named = [line for script in scripts(yaml.safe_load(path.read_text("utf-8"))) for line in script.splitlines()]
    targets = [target for line in named if line.startswith("make ") for target in line.split()[1:]]
    known = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(targets) <= set(known)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_host_would_take_it(path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_commands_exist(path: Path) -> None:
    lines = commands(path)
    assert lines or path.name in {"docs.yml", "release.yml"}
    for line in lines:
        words = shlex.split(line)[1:]
        command: click.Command = cli
        context = click.Context(cli)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None, line
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_of_a_stranger_becomes_a_command(path: Path) -> None:
    """Expressions in a `run` line are pasted before the shell reads it; a branch's name could be a command."""
    text = path.read_text("utf-8")
    assert "pull_request_target" not in text
    loaded = yaml.safe_load(text)
    assert not [script for script in scripts(loaded) if "${{" in script]
    assert loaded["permissions"] == {"contents": "read"}
