"""The loop of `watch`: look, copy, evaluate, flag, remember."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.data.subset import part_of
from sysu30k_bench.errors import BenchError, UnwritableError, UsageError
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.files import remove_partials, remove_quietly
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.watch.flags import FLAGS, MAX_DROP, flags_of
from sysu30k_bench.training.watch.found import Finder, Snapshot, Stamp
from sysu30k_bench.training.watch.history import History, Row
from sysu30k_bench.training.watch.measure import holds_nan, measure


@dataclass(frozen=True)
class WatchRequest:
    """What to watch.

    Attributes:
        folders: Where checkpoints appear.
        data: The data set's folder.
        dataset: Its name, if known.
        output: Where the history is kept.
        distractors: How many of the distractors are searched, the same for every checkpoint; None for all, as where the
            gallery has no more.
        adapter: The checkpoints' card; found from each file where None.
        device: Where to embed.
        every: Seconds between two looks.
        max_drop: See `flags_of`.
        fail_on: Flags that end the watch.
    """

    folders: Sequence[Path]
    data: Path
    output: Path
    dataset: str | None = None
    distractors: int | None = 1000
    adapter: str | None = None
    device: str = "auto"
    every: float = 30.0
    max_drop: float = MAX_DROP
    fail_on: Sequence[str] = ()


class Watch:
    """A watch.

    Args:
        request: What to watch.
        progress: Told a line for each checkpoint.

    Raises:
        UsageError: There is no such flag.
        BenchError: The data set or the history cannot be read.
    """

    def __init__(self, request: WatchRequest, progress: Progress) -> None:
        unknown = [flag for flag in request.fail_on if flag not in FLAGS]
        if unknown:
            raise UsageError(f"there is no flag {unknown[0]!r}", hint=", ".join(FLAGS))
        self._request, self._progress = request, progress
        self._lists: TestSet = open_test_set(request.data, request.dataset)
        self._distractors = _fewer(self._lists, request.distractors)
        task = {
            "dataset": self._lists.dataset,
            "query": self._lists.query.fingerprint,
            "gallery": self._lists.gallery.fingerprint,
            "distractors": "all" if self._distractors is None else str(self._distractors),
            "adapter": request.adapter or "found from each file",
        }
        self.history = History(request.output, task)
        remove_partials(request.output)
        self.history.tell()
        self._finder = Finder([folder.absolute() for folder in request.folders], request.output.absolute())
        self._done: dict[str, Stamp] = {}

    @property
    def failed(self) -> Row | None:
        """The first row with a flag that ends the watch."""
        return next((row for row in self.history.rows if set(row.flags) & set(self._request.fail_on)), None)

    def once(self) -> None:
        """Evaluates what there is, whether it has settled or not; what cannot be read is flagged."""
        self._finder.settle = 0
        self._look()

    def forever(self, sleep: Callable[[float], None] = time.sleep, looks: int | None = None) -> None:
        """Looks again and again, until a flag of `fail_on` is raised.

        Args:
            sleep: Waits.
            looks: Most looks; None for no end.
        """
        number = 0
        while self.failed is None and (looks is None or number < looks):
            if number:
                sleep(self._request.every)
            self._look()
            number += 1

    def _look(self) -> None:
        for path, name in self._finder.look():
            if self._done.get(name) == self._finder.seen[path][0]:
                continue
            taken = self._finder.snapshot(path, name)
            if taken is None:
                continue
            self._done[name] = taken.stamp
            try:
                if not self.history.knows(taken.sha256):
                    self._evaluate(taken)
            finally:
                remove_quietly(taken.copy)
            if self.failed is not None:
                return

    def _evaluate(self, taken: Snapshot) -> None:
        asked, folder = self._request, self._request.output / "evaluations" / taken.sha256[:16]
        request = ExportRequest(
            taken.copy,
            lists=self._lists,
            output=folder,
            adapter=asked.adapter,
            device=asked.device,
            distractors=self._distractors,
        )
        row = Row(name=taken.name, sha256=taken.sha256, changed=taken.stamp[0] / 1e9)
        try:
            measured = measure(request, self._lists, folder)
        except UnwritableError:
            raise  # no fault of the checkpoint: the same command tries it again
        except BenchError as error:
            self.history.add(_broken(row, taken.copy, error))
            self._tell()
            shutil.rmtree(folder, ignore_errors=True)
            return
        flags, reasons = flags_of(measured.figures, measured.ranks, self.history, max_drop=asked.max_drop)
        finite = {name: value for name, value in measured.figures.items() if value == value}
        told = {"adapter": measured.adapter, "figures": finite, "flags": flags, "reasons": reasons}
        self.history.add(row.model_copy(update=told), measured.ranks)
        self._tell()

    def _tell(self) -> None:
        row = self.history.rows[-1]
        figures = row.figures
        said = (
            f"{row.name}: rank-1 {figures['rank1'] * 100:.1f} % ({figures['rank1_low'] * 100:.1f} to "
            f"{figures['rank1_high'] * 100:.1f}), AP {figures['ap'] * 100:.1f} %, RankMe {figures.get('rankme', 0):.1f}"
            if "rank1" in figures
            else f"{row.name}: not evaluated"
        )
        self._progress.say("; ".join([said, *(f"{flag.upper()}" for flag in row.flags), *row.reasons]))


def _fewer(lists: TestSet, wanted: int | None) -> int | None:
    """Returns how many distractors to keep; None where the gallery has no more than were asked for."""
    if wanted is None:
        return None
    try:
        part_of(lists, None, wanted)
    except UsageError:
        return None
    return wanted


def _broken(row: Row, copy: Path, error: BenchError) -> Row:
    """A file that cannot be evaluated: NaN weights are told from damage by reading it once more."""
    try:
        nan = holds_nan(copy)
    except BenchError:
        nan = False
    flag = "nan" if nan else "unreadable"
    return row.model_copy(update={"flags": [flag], "reasons": [error.message]})
