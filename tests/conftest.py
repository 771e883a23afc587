"""What many tests need: a small twin, a seeded ResNet-50, the real photographs, and the command as a process."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.models.networks.colour_stripes import ColourStripes
from sysu30k_bench.progress import Silent
from tests.zygote import without_power_failure

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REAL = Path(__file__).parents[1] / "sysu30k_bench" / "demo"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]

os.fsync = without_power_failure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Spares every later garbage collection the millions of objects of modules and tests."""
    gc.collect()
    gc.freeze()


class Outcome:
    """What a process left: its code, its output, and the JSON in it."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Zygote:
    """Forks commands from the process that has imported everything."""

    process: subprocess.Popen[str]
    streams: Path

    def ask(self, **order: Any) -> list[int]:
        """Sends an order, and returns its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: list[int] = json.loads(self.process.stdout.readline())
        return answer

    def run(self, args: Sequence[object], cwd: Path | None, env: dict[str, str], **order: Any) -> Outcome:
        """Runs a command to its end."""
        out, err = self.streams / "out", self.streams / "err"
        words = [str(arg) for arg in args]
        [code] = self.ask(args=words, cwd=str(cwd or Path.cwd()), env=env, out=str(out), err=str(err), **order)
        return Outcome(code, out.read_text(), err.read_text())

    def begin(self, *args: object, env: dict[str, str] | None = None, stdout: str | None = None) -> Begun:
        """Begins a command, in a process group of its own; its output goes to a file, or a terminal's path."""
        folder = Path(tempfile.mkdtemp(dir=self.streams))
        words, out, err = [str(arg) for arg in args], stdout or folder / "out", folder / "err"
        environment = {**os.environ, **(env or {})}
        order = {"args": words, "cwd": str(Path.cwd()), "env": environment, "out": str(out), "err": str(err)}
        [pid] = self.ask(**order, background=True, own_group=True)
        return Begun(self, pid, err)


@dataclass
class Begun:
    """A command that runs.

    Attributes:
        zygote: Its parent.
        pid: Its process, and its group.
        stderr: Where its messages go.
    """

    zygote: Zygote
    pid: int
    stderr: Path

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return "\nState:\tZ" not in Path(f"/proc/{self.pid}/status").read_text("ascii")

    def wait(self) -> tuple[int, str]:
        """Waits for its end; returns its exit code and its messages."""
        [code] = self.zygote.ask(wait=[self.pid])
        return code, self.stderr.read_text()


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """The process from which commands are forked (see `tests.zygote`)."""
    command = [sys.executable, "-m", "tests.zygote"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Zygote(process, tmp_path_factory.mktemp("streams"))
        process.kill()


@pytest.fixture(scope="session")
def bench(zygote: Zygote) -> Callable[..., Outcome]:
    """Runs `sysu30k-bench` as a process, and never lets a traceback pass.

    `fresh` starts a new interpreter for it; `processes` runs it as the processes of one job, without torchrun;
    `before` is Python to run in the process before the command.
    """

    def start(args: Sequence[object], cwd: Path | None, env: dict[str, str]) -> Outcome:
        command = [sys.executable, "-m", "sysu30k_bench", *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=600, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def run(
        *args: object,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        fresh: bool = False,
        processes: int = 1,
        before: str = "",
    ) -> Outcome:
        environment = {**os.environ, **(env or {})}
        if processes > 1:
            with socket.create_server(("127.0.0.1", 0)) as free:
                environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        if fresh or "PYTHONPATH" in (env or {}):
            outcome = start(args, cwd, environment)
        else:
            outcome = zygote.run(args, cwd, environment, processes=processes, before=before)
        assert "Traceback" not in outcome.err, outcome.err
        return outcome

    return run


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twin of 40 identities and 60 distractors. Read only."""
    root = tmp_path_factory.mktemp("twin")
    write_twin(root, TwinRequest(identities=40, distractors=60, difficulty="easy"), Silent())
    return root


@pytest.fixture
def own_twin(tmp_path: Path) -> Path:
    """A twin of 6 identities and 6 distractors that the test may damage."""
    root = tmp_path / "own-twin"
    write_twin(root, TwinRequest(identities=6, distractors=6, difficulty="easy"), Silent())
    return root


@pytest.fixture(scope="session")
def stripes_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the training-free network: fast, and found without naming a card."""
    path = tmp_path_factory.mktemp("weights") / "stripes.pth"
    torch.save(ColourStripes().state_dict(), path)
    return path


@pytest.fixture(scope="session")
def resnet50_state() -> dict[str, torch.Tensor]:
    """The state dict of a seeded random ResNet-50 with its 1,000-way classifier and lively batch statistics."""
    from torchvision.models import resnet50

    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = resnet50(weights=None)
        state = network.state_dict()
        for name, value in state.items():
            if name.endswith("running_mean"):
                value.normal_(std=0.05)
            elif name.endswith("running_var"):
                value.uniform_(0.8, 1.2)
    return state


@pytest.fixture(scope="session")
def openpeople() -> Path:
    """Sixty AI-generated photographs of ten people in the Market-1501 layout (PyPI openpeople 0.1.2, MIT)."""
    return REAL / "openpeople"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests that need one are skipped without it."""
    program = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=_QUIET)
        yield opened
        opened.close()


def jpeg(seed: int = 0, size: tuple[int, int] = (40, 80)) -> bytes:
    """A small JPEG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def unit_rows(rng: np.random.Generator, count: int, dimension: int, dtype: str = "float32") -> np.ndarray:
    """Random unit vectors, (count, dimension)."""
    rows = rng.standard_normal((count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(dtype)
