"""The harness of `make torture` notices what it looks for: planted commands that must not pass."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.torture.flips import Reader, harmed
from benchmarks.torture.jobs import Job, Scene
from benchmarks.torture.kills import Undisturbed, interrupt, kill
from benchmarks.torture.kinds import Kind
from benchmarks.torture.processes import End, Fault, Shell, build_library
from benchmarks.torture.state import canonical, canonical_text, differences, snapshot
from benchmarks.torture.table import Ledger
from tests.conftest import Zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
WORDS = ("--version",)
ENDS = "raise SystemExit(0)"


class At(random.Random):
    """Always the same moment."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


@pytest.fixture
def scene(zygote: Zygote, tmp_path: Path) -> Scene:
    made = Scene(tmp_path, Shell(tmp_path, zygote.process))
    (made.bases / "empty").mkdir(parents=True)
    return made


def planted(scene: Scene, code: str) -> Undisturbed:
    return Undisturbed(scene, Job("planted", WORDS, before=code))


def test_another_byte_a_missing_and_a_left_over_file_are_reported(scene: Scene) -> None:
    whole = planted(scene, f"open('a', 'w').write('same'); {ENDS}")
    assert whole.repeated() == []
    assert planted(scene, f"import os; open('a', 'wb').write(os.urandom(8)); {ENDS}").repeated() == ["differs: a"]
    found = snapshot(scene.shell.work)
    assert differences(found, {}) == ["missing: a"]
    assert differences({}, found) == ["left over: a"]
    assert planted(scene, f"import time; print(time.perf_counter()); {ENDS}").repeated() == ["printed something else"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('x')", "printed 'Traceback (most recent'"),
        ("import os; os._exit(7)", "ended with 7, which is documented nowhere"),
        ("import os; os._exit(3)", "ended with 3 and no message"),
        ("import os; os.write(2, b'error: internal error: x'); os._exit(70)", "printed 'internal error'"),
        ("import os; os.write(2, b'error: no disk'); os._exit(3)", None),
    ],
)
def test_endings_that_must_not_be(scene: Scene, code: str, said: str | None) -> None:
    scene.reset("empty")
    assert scene.shell.run(WORDS, before=code).fault() == said


def test_a_hang_is_ended_and_reported(scene: Scene) -> None:
    scene.reset("empty")
    end = scene.shell.begin(WORDS, before="import time; time.sleep(60)").wait(0.2)
    assert (end.code, end.hung) == (-signal.SIGKILL, True)
    assert "did not end" in (end.fault() or "")


def test_a_command_that_does_not_resume_is_reported(scene: Scene) -> None:
    code = (
        "import os, time\n"
        "if os.path.exists('lock'): os.write(2, b'error: locked'); os._exit(3)\n"
        "open('lock', 'w'); time.sleep(0.4); os.remove('lock'); open('a', 'w').write('x')\n"
    )
    ledger = Ledger()
    kill(planted(scene, code + ENDS), At(), ledger, 1)
    [(attack, _, what)] = ledger.violations
    assert (attack, "ended with 3: error: locked" in what) == ("kill -9", True)
    resumes = code.replace("os.path.exists('lock')", "False") + ENDS
    kill(planted(scene, resumes), At(), ledger, 2)
    assert len(ledger.violations) == 1
    assert "| kill -9 | planted | 3 | 1 | 2 same bytes after it |" in ledger.markdown()


def test_a_signal_that_ends_in_a_traceback_is_reported(scene: Scene) -> None:
    def handled(answer: str) -> str:
        both = "for one in (2, 15): signal.signal(one, end)"
        return f"import os, signal, time\ndef end(*_): {answer}\n{both}\ntime.sleep(0.4)\n"

    ledger = Ledger()
    interrupt(planted(scene, handled("raise KeyboardInterrupt") + ENDS), At(0), ledger)
    assert "printed 'Traceback" in ledger.violations[0][2]
    good = Ledger()
    interrupt(planted(scene, handled("os.write(2, b'error: interrupted'); os._exit(130)") + ENDS), At(0), good)
    assert good.violations == []


def reader(scene: Scene, code: str, **options: Any) -> Reader:
    (scene.bases / "empty" / "input").write_text("12")
    return Reader(scene, Kind("planted", "empty", "input", (WORDS,), before=code, **options), WORDS)


def judged(found: Reader, content: str) -> tuple[str, list[str]]:
    found.scene.reset("empty")
    (found.scene.shell.work / "input").write_text(content)
    before = snapshot(found.scene.shell.work)["input"]
    return found.judge(found.run(), "input", before)


def test_another_answer_of_a_damaged_file_is_reported(scene: Scene) -> None:
    believes = reader(scene, f"print(open('input').read()); {ENDS}")
    assert judged(believes, "12") == ("same answer", [])
    assert judged(believes, "13") == ("", ["printed something else"])
    refuses = reader(
        scene, f"import os; open('input').read() == '12' or os.write(2, b'error: damaged') and os._exit(4); {ENDS}"
    )
    assert judged(refuses, "13") == ("refused", [])
    remakes = reader(scene, f"open('input', 'w').write('12'); {ENDS}")
    assert judged(remakes, "13") == ("same answer, file remade", [])


def test_another_input_needs_another_digest_in_the_record(scene: Scene) -> None:
    code = (
        "import json; text = open('input').read(); print(text)\n"
        "json.dump({{'weights_sha256': {}}}, open('told.json', 'w'))\n"
    )
    honest = reader(scene, code.format("text") + ENDS, given=True, told="told.json")
    assert judged(honest, "13") == ("input changed, and its digest", [])
    blind = reader(scene, code.format("'constant'") + ENDS, given=True, told="told.json")
    assert judged(blind, "13")[1][0] == "another answer under the same digests"


def test_only_what_is_of_the_moment_is_passed_over() -> None:
    one = json.dumps({"seconds": 1, "rank1": 0.5, "rows": [{"created": "x"}]}).encode()
    two = json.dumps({"seconds": 2, "rank1": 0.5, "rows": [{"created": "y"}]}).encode()
    other = json.dumps({"seconds": 1, "rank1": 0.6, "rows": [{"created": "x"}]}).encode()
    assert canonical("a.json", one) == canonical("a.json", two) != canonical("a.json", other)
    assert canonical("a.csv", one) == one
    assert (
        canonical_text("made 2026-01-02 10:20 in 1.5 s")
        == canonical_text("made 2026-03-04 10:30 in 2 s")
        != canonical_text("2 rows")
    )


def test_a_damage_is_one_bit_or_a_cut() -> None:
    rng, whole = random.Random(0), bytes(range(64))  # noqa: S311
    for _ in range(200):
        content, _ = harmed(whole, rng)
        apart = sum((a ^ b).bit_count() for a, b in zip(whole, content, strict=False))
        assert (len(content), apart) == (64, 1) or (len(content) < 64 and not apart)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ({"nth": 2, "error": 28}, "open('a', 'w').close(); open('b', 'w').close()", "[Errno 28]"),
        ({"nth": 2, "error": 28}, "import os; os.mkdir('d'); os.replace('d', 'e')", "[Errno 28]"),
        ({"nth": 3, "error": 5}, "import sqlite3; sqlite3.connect('x').execute('create table t (b)')", "disk I/O"),
        ({"nth": 1, "error": 37, "kinds": 4}, "import fcntl; fcntl.flock(open('a', 'w'), 2)", "[Errno 37]"),
        ({"nth": 1, "kinds": 16, "jump": 10**9}, "import time; raise OSError(time.time() > 2.7e9)", "OSError: True"),
        ({"nth": 9, "error": 28}, "open('a', 'w').close()", ""),
    ],
)  # fmt: skip
def test_system_calls_fail_where_they_are_told_to(tmp_path: Path, fault: dict[str, Any], code: str, said: str) -> None:
    library = build_library(tmp_path)
    if library is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "work").mkdir()
    armed = Fault(tmp_path / "work", **fault).code(library, tmp_path / "log")
    done = subprocess.run([sys.executable, "-c", f"{armed}\n{code}"], cwd=tmp_path / "work", capture_output=True,
                          text=True, env={**os.environ, "LD_PRELOAD": str(library)}, check=False)  # fmt: skip
    assert said in done.stderr
    assert bool(done.returncode) == bool(said)


def test_a_violation_without_an_end_is_counted_once() -> None:
    ledger = Ledger()
    ledger.check("attack", "job", "fine", [])
    ledger.check("attack", "job", "fine", ["one", "two"], End(1, "", "", 0.1))
    assert "| attack | job | 2 | 1 | 1 fine |" in ledger.markdown()
    assert len(ledger.violations) == 2
    ledger.check("attack", "other job", "fine", [])
    assert "| attack | 2 of them | 3 | 1 | 2 fine |" in ledger.summary()
