"""Help: in groups, with examples that would be understood, and without a heavy import."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from sysu30k_bench.cli.command import LAST_GROUP, Command, Option
from sysu30k_bench.cli.program import cli
from tests.conftest import Outcome

Bench = Callable[..., Outcome]
WITH_EXAMPLES = ("compare", "eval", "export", "gate", "search", "train")


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Follows words through groups to the command that they name."""
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command, words


def test_eval_shows_groups(bench: Bench) -> None:
    shown = bench("eval", "--help").out
    headings = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert headings[0] == "What is evaluated"
    assert headings[-3:] == [LAST_GROUP, "Options", "Examples"]
    assert len(headings) >= 8
    blocks = re.split(r"^\S.*:$", shown, flags=re.MULTILINE)
    of = dict(zip(headings, blocks[1:], strict=True))
    assert "--adapter" in of["The model"]
    assert "--device" in of["Where and how fast"]
    assert "--limit" in of["A part, or in spite of something; never official"]
    assert "--top-k" in of["The search"]
    assert "--json" in of[LAST_GROUP]
    assert of["Options"].split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]


def test_every_option_of_eval_is_in_a_group() -> None:
    command, _ = command_of(["eval"])
    for param in command.params:
        if isinstance(param, click.Option):
            assert isinstance(param, Option), param.name
            assert param.group, param.name


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_commands_with_options_that_they_have(bench: Bench, name: str) -> None:
    command, _ = command_of([name])
    assert isinstance(command, Command)
    assert command.examples
    shown = bench(name, "--help").out
    for _, line in command.examples:
        assert f"  sysu30k-bench {line}\n" in shown + "\n", "an example is not wrapped"
        called, words = command_of(shlex.split(line))
        context = click.Context(called)
        options, arguments, _ = called.make_parser(context).parse_args(args=list(words))
        assert options or arguments


def test_help_of_no_command_imports_anything_heavy() -> None:
    code = (
        "import sys; from sysu30k_bench.cli.program import cli\n"
        "for words in (['--help'], ['eval', '--help'], ['train', '--help'], ['data', 'verify', '--help'],"
        " ['leaderboard', 'audit', '--help'], ['gate', '--help'], ['adapters', 'which', '--help']):\n"
        "    cli(words, standalone_mode=False)\n"
        "print([name for name in ('torch', 'numpy', 'pandas', 'rich', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_option_says_what_it_is_for() -> None:
    silent = []

    def look(command: click.Command, words: list[str]) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                look(found, [*words, name])
        else:
            options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
            silent.extend(f"{' '.join(words)} {option.opts[0]}" for option in options if not option.help)

    look(cli, [])
    assert not silent
