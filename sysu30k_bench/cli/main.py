"""The command `sysu30k-bench`: takes the signals before anything else, and leaves with the outcome's exit code."""

from __future__ import annotations

import sys

from sysu30k_bench.interrupts import INTERRUPTS

_NOT_HERE = (
    "error: sysu30k-bench runs on Linux and macOS; Windows is not supported\n"
    "What to do: run it in the Windows Subsystem for Linux"
)


def main() -> None:
    """Runs the command line and leaves with the exit code of its outcome."""
    if sys.platform == "win32":
        sys.stderr.write(f"{_NOT_HERE}\n")
        sys.exit(2)
    INTERRUPTS.take()
    from sysu30k_bench.cli.run import run
    from sysu30k_bench.cli.streams import take_streams

    take_streams()
    code = run()
    INTERRUPTS.told()
    if INTERRUPTS.asked:
        INTERRUPTS.leave_tidily(code)
    sys.exit(code)


def __getattr__(name: str) -> object:
    """Gives `cli`, the group of all commands, on request; it imports click."""
    if name == "cli":
        from sysu30k_bench.cli.program import cli

        return cli
    raise AttributeError(f"module {__name__} has no attribute {name}")
