"""From whatever a command ends with to a message and an exit code."""

from __future__ import annotations

import os
import sys

import click

from sysu30k_bench.cli.console import print_error
from sysu30k_bench.cli.program import cli
from sysu30k_bench.errors import BenchError
from sysu30k_bench.interrupts import INTERRUPTED, INTERRUPTS

BUG = 70
_OUT_OF_MEMORY = (
    "out of memory\nWhat to do: lower --batch-size or --memory, or use --device cpu; what is finished is kept"
)


def run() -> int:
    """Runs the command line of this process.

    Returns:
        Its exit code.
    """
    try:
        with INTERRUPTS.working():
            code = cli.main(standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except BaseException as error:  # noqa: BLE001  the last resort: whatever it is, a person has to read it
        code = _interrupted() if INTERRUPTS.asked or isinstance(error, KeyboardInterrupt | click.Abort) else None
        if code is None:
            code = _failed(error)
    if INTERRUPTS.asked:
        _end_children()
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    INTERRUPTS.told()
    print_error(INTERRUPTS.message)
    return INTERRUPTED


def _failed(error: BaseException) -> int:
    """Prints what went wrong, and returns the exit code for it."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BenchError):
        print_error(str(error))
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        print_error(_OUT_OF_MEMORY)
        return 3
    if not isinstance(error, Exception) or os.environ.get("SYSU30K_BENCH_TRACEBACK"):
        raise error
    print_error(
        f"internal error: {type(error).__name__}: {error}\n"
        "What to do: run it again with SYSU30K_BENCH_TRACEBACK=1 and report the output; finished work is kept"
    )
    return BUG


def _end_children() -> None:
    """Ends decoding processes that have not heard of the end, which the interpreter would wait for."""
    if "multiprocessing" not in sys.modules:
        return
    import multiprocessing

    for child in multiprocessing.active_children():
        child.kill()
