"""Runs the command in processes that are forked from one that has imported everything.

Importing torch, pandas and scipy takes seconds, and the tests start the command a hundred times. A forked child is a
process like any other: arguments, environment, working folder, streams and exit code are its own. What concerns the
start itself (`PYTHONPATH`, early signals, torchrun, the README's commands) is tested with processes that are really
started.

Reads one JSON object a line, and answers each with the exit code of the command it asked for. An order with `processes`
starts several with the variables by which torchrun tells them of each other, without torchrun's own start; one with
`background` is answered with the process's number, and `wait` then asks for its exit code; `before` is Python to run in
the process before the command.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

import sysu30k_bench
from sysu30k_bench.cli.main import main

LIBRARIES = (
    "faiss",
    "lightly.loss",
    "lightly.models.modules",
    "lightning_fabric",
    "matplotlib.pyplot",
    "statsmodels.stats.proportion",
    "torch.utils.tensorboard",
    "torchvision",
)


def without_power_failure(_: int) -> None:
    """Stands in for `os.fsync`, which costs 20 ms a file and whose lack only a power failure would show."""


def import_everything() -> None:
    """Imports what the commands import, and reads the cards; nothing starts a thread, since none survives a fork."""
    for module in pkgutil.walk_packages(sysu30k_bench.__path__, "sysu30k_bench."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    from sysu30k_bench.models.cards import all_cards

    all_cards()
    os.fsync = without_power_failure
    gc.collect()
    gc.freeze()  # children neither look at these objects nor copy their pages


def run(order: dict[str, Any]) -> int:
    """Becomes the command: takes its environment, folder and streams, and runs it to its end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))  # noqa: SIM115
    sys.argv = ["sysu30k-bench", *order["args"]]
    try:
        exec(order.get("before", ""), {})  # noqa: S102  a test's own words
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  what the interpreter would do
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def start(order: dict[str, Any]) -> list[int]:
    """Forks the command, once for every process of its job; returns their numbers."""
    children = []
    processes = int(order.get("processes", 1))
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            if order.get("own_group"):
                os.setsid()
            if processes > 1:
                order["env"] |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
                order["out"] += f".{rank}" if rank else ""
            os._exit(run(order))
        children.append(child)
    return children


def serve() -> None:
    """Answers orders until the stream ends: with the number of a process that was begun, or the worst exit code."""
    import_everything()
    for line in sys.stdin:
        order = json.loads(line)
        children = order["wait"] if "wait" in order else start(order)
        if order.get("background"):
            answer = children
        else:
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            answer = [max(codes, key=abs)]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
