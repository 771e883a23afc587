"""Runs the command in processes that are forked from one that has imported everything.

Importing torch, pandas and scipy takes seconds, and the tests start the command a hundred times. A forked child is a
process like any other: arguments, environment, working folder, streams and exit code are its own. What concerns the
start itself (`PYTHONPATH`, signals, torchrun, the README's commands) is tested with processes that are really started.

Reads one JSON object a line, and answers each with the exit code of the command it asked for.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from sysu30k_bench.cli.main import main


def import_everything() -> None:
    """Imports what the commands import; nothing here may compute, since threads do not survive a fork."""
    import faiss  # noqa: F401
    import torchvision  # noqa: F401

    import sysu30k_bench.cli.options
    import sysu30k_bench.cli.panel
    import sysu30k_bench.cli.requests
    import sysu30k_bench.evaluation
    import sysu30k_bench.search.engines.faiss_engine
    import sysu30k_bench.search.engines.torch_engine  # noqa: F401


def run(order: dict[str, Any]) -> int:
    """Becomes the command: takes its environment, folder and streams, and runs it to its end."""
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


def serve() -> None:
    """Answers orders until the stream ends."""
    import_everything()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(run(json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
