"""All commands, each imported when it is called."""

from __future__ import annotations

import difflib
import importlib

import click

from sysu30k_bench._version import __version__

_COMMANDS = {
    "adapters": "sysu30k_bench.cli.commands.adapters:adapters",
    "compare": "sysu30k_bench.cli.commands.compare:compare_command",
    "data": "sysu30k_bench.cli.commands.data:data",
    "demo": "sysu30k_bench.cli.commands.demo:demo",
    "doctor": "sysu30k_bench.cli.commands.doctor:doctor",
    "eval": "sysu30k_bench.cli.commands.evaluate:evaluate_command",
    "export": "sysu30k_bench.cli.commands.export:export",
    "gate": "sysu30k_bench.cli.commands.gate:gate_command",
    "leaderboard": "sysu30k_bench.cli.commands.leaderboard:leaderboard",
    "report": "sysu30k_bench.cli.commands.report:report",
    "runs": "sysu30k_bench.cli.commands.runs:runs_command",
    "score": "sysu30k_bench.cli.commands.score:score",
    "search": "sysu30k_bench.cli.commands.search:search_command",
    "ssl-suite": "sysu30k_bench.cli.commands.ssl_suite:ssl_suite",
    "slices": "sysu30k_bench.cli.commands.slices:slices_command",
    "submit": "sysu30k_bench.cli.commands.submit:submit",
    "train": "sysu30k_bench.cli.commands.train:train",
    "watch": "sysu30k_bench.cli.commands.watch:watch",
}


class BrokenWork(Exception):  # noqa: N818  it carries the error
    """A pipe of the work has broken. click would take it for stdout's, of which `streams` tells, and leave quietly."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is called, and suggests names that are close to a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See click."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """See click."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """See click."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise BrokenWork from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            close = difflib.get_close_matches(args[0].lower(), _COMMANDS, n=3)
            hint = f" Did you mean {', '.join(close)}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SYSU30K_BENCH"}
)
@click.version_option(__version__, prog_name="sysu30k-bench", allow_from_autoenv=False)
def cli() -> None:
    """Exact, resumable evaluation of person re-identification models on SYSU-30k."""
