"""Signals from the first moment to the last: one clean message, and 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.interrupts import MESSAGE
from sysu30k_bench.progress import Silent
from tests.conftest import Zygote

CLEAN = f"error: {MESSAGE}"
STATUS = Path("/proc/self/status")
pytestmark = pytest.mark.skipif(
    not STATUS.is_file(), reason="looks into /proc for the moment at which signals are taken"
)


def _heed_interrupts() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and the tests with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own."""
    command = [sys.executable, "-m", "sysu30k_bench", *map(str, words)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=env,
        preexec_fn=_heed_interrupts,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.002)


def takes_signals(process: subprocess.Popen[str]) -> bool:
    """Whether the process answers SIGTERM, which Python by itself does not."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text("ascii")
    except OSError:
        return False
    caught = next(line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & (1 << (signal.SIGTERM - 1)))


def expect_clean(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=60)
    expect_clean_end(process.returncode, said)


def expect_clean_end(code: int, said: str) -> None:
    assert code == 130, (code, said)
    assert said.rstrip().splitlines()[-1] == CLEAN
    assert said.count(CLEAN) == 1
    for word in ("Traceback", "internal error", "Exception ignored", "DataLoader"):
        assert word not in said, said


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        (signal.SIGINT, 0.0),
        (signal.SIGTERM, 0.03),
        (signal.SIGINT, 0.1),
        (signal.SIGTERM, 0.3),
        (signal.SIGINT, 0.8),
        (signal.SIGTERM, 2.0),
    ],
)
def test_while_everything_is_loaded(
    twin: Path, stripes_checkpoint: Path, tmp_path: Path, number: int, seconds: float
) -> None:
    with started("eval", stripes_checkpoint, "--data", twin, "--output", tmp_path / "run") as process:
        wait_until(lambda: process.poll() is not None or takes_signals(process))
        time.sleep(seconds)
        os.killpg(process.pid, number)
        expect_clean(process)


@pytest.fixture(scope="module")
def long_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("long")
    write_twin(root, TwinRequest(identities=10, distractors=600, difficulty="easy"), Silent())
    return root


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_the_whole_group_while_embedding(
    zygote: Zygote, long_twin: Path, stripes_checkpoint: Path, tmp_path: Path, number: int, times: int
) -> None:
    """As a batch system ends a job: the decoding processes get the signal, too, and some send it twice."""
    run = tmp_path / "run"
    words = ("export", stripes_checkpoint, "--data", long_twin, "--output", run)
    process = zygote.begin(*words, "--workers", 2, "--batch-size", 4, "--shard-rows", 16)
    wait_until(lambda: not process.runs or len(list(run.rglob("shard-*.h5"))) >= 2 + times)
    for _ in range(times):
        os.killpg(process.pid, number)
        time.sleep(0.02)
    code, said = process.wait()
    expect_clean_end(code, said)
    assert not list(run.rglob("*.partial"))
    leftover = subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True, text=True, check=False)
    assert leftover.stdout == "", "a decoding process lives on"


def test_training_ends_with_a_whole_step_though_its_decoding_processes_got_the_signal(
    zygote: Zygote, tmp_path: Path
) -> None:
    pytest.importorskip("lightning_fabric")
    root, run = tmp_path / "drawn", tmp_path / "run"
    write_twin(root, TwinRequest(8, 8, "easy", training=40), Silent())
    words = ("train", "tiny", "--data", root, "--output", run, "--workers", 2, "--set", "run.epochs=500")
    process = zygote.begin(*words, "--set", "run.validate_every=0")
    wait_until(lambda: not process.runs or (run / "last.pt").is_file())
    os.killpg(process.pid, signal.SIGTERM)
    code, said = process.wait()
    assert code == 130, said
    assert (
        said.rstrip().splitlines()[-1]
        == f"error: interrupted; the same command with --resume resumes from {run / 'last.pt'}"
    )
    assert "Traceback" not in said


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=_heed_interrupts,
    )


def test_an_interruption_inside_a_destructor_is_not_lost() -> None:
    """Python prints what a destructor raises, and goes on: the loader of a split is ended in one."""
    done = run_code(
        "import os, signal, time\n"
        "from sysu30k_bench.interrupts import INTERRUPTS\n"
        "class Slow:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        for _ in range(100): time.sleep(0.001)\n"
        "INTERRUPTS.take()\n"
        "with INTERRUPTS.working():\n"
        "    try:\n"
        "        Slow()\n"
        "        time.sleep(20)\n"
        "        print('lost')\n"
        "    except KeyboardInterrupt:\n"
        "        print('caught', INTERRUPTS.asked)\n"
    )
    assert done.stdout == "caught True\n"
    assert done.stderr == ""


def test_the_echo_of_a_signal_is_passed_over_and_a_later_one_leaves_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from sysu30k_bench import interrupts\n"
        "interrupts.SAME_SECONDS = 0.5\n"
        "interrupts.INTERRUPTS.take()\n"
        "with interrupts.INTERRUPTS.working():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "    except KeyboardInterrupt:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep({pause})\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(0.1)\n"
        "        print('tidied up', flush=True)\n"
    )
    assert run_code(code.format(pause=0)).stdout == "tidied up\n"
    hurried = run_code(code.format(pause=0.7))
    assert (hurried.stdout, hurried.stderr, hurried.returncode) == ("", CLEAN + "\n", 130)


def test_nothing_slow_is_imported_before_signals_are_answered() -> None:
    """Until then Ctrl-C is Python's own traceback."""
    done = run_code(
        "import sys\n"
        "before = set(sys.modules)\n"
        "import sysu30k_bench.cli.main\n"
        "slow = {'inspect', 'typing', 'click', 'numpy', 'torch', 'pydantic', 'dataclasses', 'pathlib'}\n"
        "print(sorted((set(sys.modules) - before) & slow))\n"
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    """As `nohup`, or a job in the background of a script, has it."""
    done = run_code(
        "import os, signal\n"
        "from sysu30k_bench.interrupts import INTERRUPTS\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "INTERRUPTS.take()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('goes on', INTERRUPTS.asked)\n"
    )
    assert done.stdout == "goes on False\n"


def test_a_decoding_process_ends_with_its_parent_alone() -> None:
    done = run_code(
        "import multiprocessing, subprocess, sys, time\n"
        "from sysu30k_bench.interrupts import end_with_parent, put_off\n"
        "def work(ready):\n"
        "    end_with_parent(0)\n"
        "    ready.set()\n"
        "    time.sleep(60)\n"
        "context = multiprocessing.get_context('fork')\n"
        "ready = context.Event()\n"
        "with put_off():\n"
        "    child = context.Process(target=work, args=(ready,))\n"
        "    child.start()\n"
        "ready.wait(20)\n"
        "for name in ('-TERM', '-INT'):\n"
        "    subprocess.run(['kill', name, str(child.pid)], check=True)\n"
        "child.join(0.5)\n"
        "print(child.is_alive(), end=' ')\n"
        "child.terminate()\n"
        "child.join(20)\n"
        "print(child.exitcode)\n"
    )
    assert done.stdout == "True 0\n", done.stderr


def test_a_decoding_process_says_nothing_of_a_parent_that_has_ended() -> None:
    """Its last batch finds nobody: a traceback on the terminal would look like a fault."""
    done = run_code(
        "from multiprocessing.queues import Queue\n"
        "from sysu30k_bench.interrupts import end_with_parent\n"
        "end_with_parent(0)\n"
        "for error in (BrokenPipeError(32, 'Broken pipe'), ValueError('another fault')):\n"
        "    try:\n"
        "        raise error\n"
        "    except Exception as caught:\n"
        "        Queue._on_queue_feeder_error(caught, None)\n"
    )
    assert "another fault" in done.stderr
    assert "Broken pipe" not in done.stderr


def test_a_decoding_process_says_nothing_of_memory_that_nobody_fetches() -> None:
    """A parent that leaves resets the connection over which a thread hands it memory."""
    done = run_code(
        "import sys\n"
        "from sysu30k_bench.interrupts import end_with_parent\n"
        "end_with_parent(0)\n"
        "for error in (ConnectionResetError(104, 'reset by peer'), EOFError('ended'), ValueError('another fault')):\n"
        "    try:\n"
        "        raise error\n"
        "    except Exception:\n"
        "        sys.excepthook(*sys.exc_info())\n"
    )
    assert "another fault" in done.stderr
    assert "reset by peer" not in done.stderr
    assert "EOFError" not in done.stderr
