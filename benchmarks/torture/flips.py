"""One byte changed, or the end cut off, in every kind of file; then the commands that read it."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

from benchmarks.torture.jobs import Scene
from benchmarks.torture.kinds import KINDS, Kind
from benchmarks.torture.processes import End
from benchmarks.torture.state import canonical_text, differences, snapshot
from benchmarks.torture.table import Ledger

_CUT = 0.2
_DIGESTS = {"weights_sha256", "card_sha256", "query_fingerprint", "gallery_fingerprint", "stores"}
"""The keys of a record that stand for what was evaluated."""
_NAMED = re.compile(r"damaged|changed|cannot be read|is no |unfinished")
ATTACK = "byte flipped or end cut"


def harmed(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Returns the content with one bit of a byte changed or its end cut off, and what was done."""
    place = rng.randrange(max(1, len(content)))
    if not content or rng.random() < _CUT:
        return content[:place], f"cut to {place} bytes"
    bit = 1 << rng.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :], f"byte {place} xor {bit}"


class Reader:
    """A command that reads a file, and what it does with the whole one."""

    def __init__(self, scene: Scene, kind: Kind, words: tuple[str, ...]) -> None:
        self.scene = scene
        self.kind = kind
        self.words = words
        scene.reset(kind.base)
        self.end = self.run()
        self.files = snapshot(scene.shell.work)
        self.numbers = snapshot(scene.shell.work, warnings=False)
        self.told = self.digests()

    def run(self) -> End:
        """Runs it in the working folder as it is."""
        return self.scene.shell.run(self.words, before=self.kind.before)

    def digests(self) -> list[str]:
        """Returns the digests that the record has of what was evaluated."""
        found = []
        for path in sorted(self.scene.shell.work.glob(self.kind.told)) if self.kind.told else []:
            if path.name == "manifest.json":
                found.append(path.read_text())
            else:
                _collect(json.loads(path.read_bytes()), found)
        return found

    def judge(self, end: End, victim: str, before: str | None) -> tuple[str, list[str]]:
        """Returns the outcome after a damage, and what is wrong with it.

        Args:
            end: How the command ended.
            victim: The damaged file.
            before: The digest of its damaged content, which may remain where nothing had to be read from it.
        """
        if fault := end.fault():
            return "", [fault]
        if end.code != self.end.code:
            said = end.err.strip() or (end.out.strip() if end.code == 1 else "")
            return (
                ("refused", []) if end.code else ("", ["ended with 0, unlike before"]) if said else ("", ["no message"])
            )
        found = snapshot(self.scene.shell.work)
        apart = [line for line in differences(self.files, found) if not line.endswith(f": {victim}")]
        printed = canonical_text(end.out) != canonical_text(self.end.out)
        if printed and self.words[0] == "runs" and _NAMED.search(end.out + end.err):
            return "named as damaged", apart  # a list of runs does not stop at one
        if not apart and not printed:
            remade = found.get(victim) == self.files.get(victim)
            return ("same answer, file remade" if remade and found.get(victim) != before else "same answer"), []
        if self.kind.given:
            numbers = differences(self.numbers, snapshot(self.scene.shell.work, warnings=False))
            own = (f": {victim}", f": .{Path(victim).name}.index.sqlite")  # an archive's index tells of its damage
            if all(line.endswith(own) for line in numbers) and self.words[0] == "eval":
                return "same numbers, and a warning", []
            if self.kind.told and self.digests() == self.told:
                return "", ["another answer under the same digests", *apart[:5]]
            return "input changed, and its digest" if self.kind.told else "input changed", []
        return "", [*apart[:5], *(["printed something else"] if printed else [])]


def _collect(value: object, found: list[str]) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            if key in _DIGESTS:
                found.append(json.dumps(one, sort_keys=True))
            else:
                _collect(one, found)


def flip(readers: list[Reader], rng: random.Random, ledger: Ledger) -> None:
    """Damages one file of a kind, and runs one of the commands that read it."""
    reader = rng.choice(readers)
    kind, scene = reader.kind, reader.scene
    scene.reset(kind.base)
    path = rng.choice(files(scene.shell.work, kind))
    content, what = harmed(path.read_bytes(), rng)
    times = path.stat()
    path.write_bytes(content)
    _keep_times(path, times.st_mtime_ns)
    victim = str(path.relative_to(scene.shell.work))
    before = snapshot(scene.shell.work).get(victim)
    end = reader.run()
    outcome, wrong = reader.judge(end, victim, before)
    about = f"{victim}, {what}, `{' '.join(reader.words)}`"
    ledger.check(ATTACK, kind.name, outcome, [f"{line} ({about})" for line in wrong], end)


def _keep_times(path: Path, changed: int) -> None:
    """Damage on a disk leaves no new time of change."""
    import os

    os.utime(path, ns=(changed, changed))


def files(work: Path, kind: Kind) -> list[Path]:
    """Returns the files of a kind, in order."""
    found = sorted(path for path in work.glob(kind.files) if path.is_file())
    if not found:
        raise SystemExit(f"there is no {kind.files} in {kind.base}")
    return found


def flip_all(scene: Scene, rng: random.Random, ledger: Ledger, until: float, most: int, only: str) -> None:
    """Damages every kind, in turn, until each was damaged `most` times or the time is up."""
    kinds = [kind for kind in KINDS if only.lower() in kind.name.lower()] or KINDS
    readers: dict[str, list[Reader]] = {}
    for _ in range(most):
        for kind in kinds:
            if time.monotonic() > until:
                return
            if kind.name not in readers:
                readers[kind.name] = [Reader(scene, kind, words) for words in kind.readers]
            flip(readers[kind.name], rng, ledger)
