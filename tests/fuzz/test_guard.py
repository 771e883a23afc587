"""The judge notices what a reader must not do: a fuzzer that sees nothing finds nothing."""

# ruff: noqa: E501  a program of one reader a line

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os, pickle, socket, subprocess, sys
from pathlib import Path
from benchmarks.fuzz.judge import Judge
from benchmarks.fuzz.target import Target, as_file
from benchmarks.fuzz.worker import scratch
from sysu30k_bench.errors import DataError

def refuse(path): raise DataError("it is another file")
def silent(path): raise DataError(" ")
def hide(path):
    try: bytearray(1 << 40)
    except MemoryError as error: raise DataError("damaged") from error
def loop(path):
    while True: pass
readers = {
    "system": lambda path: os.system("true"), "child": lambda path: subprocess.run(["true"]),
    "socket": lambda path: socket.socket().connect(("127.0.0.1", 9)), "outside": lambda path: open(path.parent.parent.parent / "outside", "w"),
    "secret": lambda path: open(path.parent.parent.parent / "secret.txt"), "pickle": lambda path: pickle.loads(b"cos\\nsystem\\n."),
    "run": lambda path: exec("import fuzz_canary"), "read": lambda path: path.read_bytes(), "refuse": refuse,
    "silent": silent, "hide": hide, "loop": loop, "bug": lambda path: {}["x"], "large": lambda path: b"x" * (200 << 20),
}
with scratch() as folder:
    judge = Judge(folder)
    judge.limit()
    for name, read in readers.items():
        found = judge(Target(name, read, as_file("x"), seconds=0.5, growth=100), b"")
        print(json.dumps([name, found.outcome]), flush=True)
"""
WANTED = {
    **dict.fromkeys(("system", "child", "socket", "outside", "secret", "pickle", "run"), "acts"),
    "read": "read",
    "refuse": "refused",
    "silent": "message",
    "hide": "memory",
    "loop": "time",
    "bug": "traceback",
    "large": "memory",
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits and audits are Linux's here")
def test_the_judge_names_every_kind_of_violation() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert dict(json.loads(line) for line in done.stdout.splitlines()) == WANTED
