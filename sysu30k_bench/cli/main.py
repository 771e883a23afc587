"""The command `sysu30k-bench`."""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
from types import FrameType

import click

from sysu30k_bench._version import __version__
from sysu30k_bench.cli.console import print_error
from sysu30k_bench.errors import BenchError

_COMMANDS = {
    "adapters": "sysu30k_bench.cli.adapters:adapters",
    "compare": "sysu30k_bench.cli.compare:compare_command",
    "data": "sysu30k_bench.cli.data:data",
    "demo": "sysu30k_bench.cli.demo:demo",
    "doctor": "sysu30k_bench.cli.doctor:doctor",
    "eval": "sysu30k_bench.cli.evaluate:evaluate_command",
    "export": "sysu30k_bench.cli.export:export",
    "gate": "sysu30k_bench.cli.gate:gate_command",
    "leaderboard": "sysu30k_bench.cli.leaderboard:leaderboard",
    "report": "sysu30k_bench.cli.report:report",
    "score": "sysu30k_bench.cli.score:score",
    "search": "sysu30k_bench.cli.search:search_command",
    "submit": "sysu30k_bench.cli.submit:submit",
    "train": "sysu30k_bench.cli.train:train",
}
INTERRUPTED = 130
BUG = 70
_OUT_OF_MEMORY = (
    "out of memory\nWhat to do: lower --batch-size or --memory, or use --device cpu; what is finished is kept"
)


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            close = difflib.get_close_matches(args[0], _COMMANDS, n=3)
            hint = f" Did you mean {', '.join(close)}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SYSU30K_BENCH"}
)
@click.version_option(__version__, prog_name="sysu30k-bench")
def cli() -> None:
    """Exact, resumable evaluation of person re-identification models on SYSU-30k."""


def main() -> None:
    """Runs the command line and leaves with the exit code of its outcome."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_error("interrupted; what is finished is kept, and the same command goes on")
        code = INTERRUPTED
    except BenchError as error:
        print_error(str(error))
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MemoryError:
        print_error(_OUT_OF_MEMORY)
        code = 3
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":
            print_error(_OUT_OF_MEMORY)
            code = 3
        else:
            if os.environ.get("SYSU30K_BENCH_TRACEBACK"):
                raise
            print_error(
                f"this is a bug: {type(error).__name__}: {error}\n"
                "What to do: run it again with SYSU30K_BENCH_TRACEBACK=1 and report what it says; finished work is kept"
            )
            code = BUG
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
