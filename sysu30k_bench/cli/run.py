"""From whatever a command ends with to a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import PurePath

import click

from sysu30k_bench.cli.console import print_error
from sysu30k_bench.cli.environment import unknown_variables
from sysu30k_bench.cli.program import BrokenWork, cli
from sysu30k_bench.cli.streams import StdoutClosed
from sysu30k_bench.errors import BenchError, DataError, plain
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
            for said in unknown_variables(cli, os.environ):
                click.echo(f"warning: {plain(said)}", err=True)
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
    if isinstance(error, BrokenWork) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BenchError):
        print_error(str(error))
        return error.exit_code
    if isinstance(error, StdoutClosed):
        return 0
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        print_error(_OUT_OF_MEMORY)
        return 3
    if isinstance(error, OSError) and error.errno and not os.environ.get("SYSU30K_BENCH_TRACEBACK"):
        print_error(_refused(error))  # by the system: a disk, a network drive, rights; no internal error
        return DataError.exit_code
    if not isinstance(error, Exception) or os.environ.get("SYSU30K_BENCH_TRACEBACK"):
        raise error
    print_error(
        f"internal error: {type(error).__name__}: {error}\n"
        "What to do: run it again with SYSU30K_BENCH_TRACEBACK=1 and report the output; finished work is kept"
    )
    return BUG


def _refused(error: OSError) -> str:
    """Returns what the system refused, and on which file."""
    names = [
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)
    ]
    guess = _file_at_work(error)
    file = " and ".join(names) or ("a file" if guess is None else f"a file, probably {guess}")
    return (
        f"cannot read or write {plain(file)}: {plain(error.strerror or str(error))}\n"
        "What to do: check the disk and the rights of this user; what is finished is kept, and the same command resumes"
    )


def _file_at_work(error: OSError) -> str | None:
    """Returns the path in the innermost function that has one: a failed read or write does not name its file."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    for values in reversed(frames):
        for value in values.values():
            if isinstance(value, PurePath):
                return str(value)
            if isinstance(name := getattr(value, "name", None), str) and hasattr(value, "fileno"):
                return name
    return None


def _end_children() -> None:
    """Ends decoding processes that have not heard of the end, which the interpreter would wait for."""
    if "multiprocessing" not in sys.modules:
        return
    import multiprocessing

    for child in multiprocessing.active_children():
        child.kill()
