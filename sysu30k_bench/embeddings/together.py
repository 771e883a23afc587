"""Several networks over one split, in one pass: each image is decoded once for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.export import ExportReport, SplitExport
from sysu30k_bench.embeddings.shared_decoding import Share, SharedDecoding
from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import Input
from sysu30k_bench.progress import Progress, Silent


class OnlySaying(Silent):
    """Passes on what has to be read, and counts nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, message: str) -> None:
        """See `Progress`."""
        self._progress.say(message)


def export_together(
    split: Split,
    source: ImageSource,
    plans: Sequence[Callable[[Progress], SplitExport]],
    inputs: Sequence[Input],
    progress: Progress,
    *,
    workers: int | None,
    gpu: bool,
) -> list[ExportReport | BenchError]:
    """Embeds a split by several networks.

    Each network gets the very batches that it would get alone, so that its store has the same bytes; whoever is
    furthest behind runs next. One that fails leaves, and the others continue.

    Args:
        split: The rows.
        source: Where the images' bytes are.
        plans: Make the export of each network.
        inputs: What each network sees; one size of several is decoded once and resized for each.
        progress: Told of images done by all.
        workers: Processes that decode; None decides by the number of images.
        gpu: The networks run on a GPU.

    Returns:
        The report of each, or why it failed. Its time is that of its network and of all the decoding, as it would have
        taken alone.
    """
    said = OnlySaying(progress)
    results: dict[int, ExportReport | BenchError] = {}
    jobs: dict[int, SplitExport] = {}
    for number, plan in enumerate(plans):
        try:
            jobs[number] = plan(said)
        except BenchError as error:
            results[number] = error
    decoding = SharedDecoding(
        source,
        split.keys,
        [job.batches for job in jobs.values()],
        [inputs[number] for number in jobs],
        workers=workers,
        gpu=gpu,
    )
    shares = dict(zip(jobs, decoding.shares, strict=True))
    steps = {number: job.steps(shares[number]) for number, job in jobs.items()}
    spent = dict.fromkeys(jobs, 0.0)
    done = 0
    progress.begin(f"{split.role}, {len(jobs)} networks", decoding.images, "images")
    try:
        while steps:
            number = min(steps, key=lambda one: shares[one].next_position)
            started, decoded = time.perf_counter(), decoding.seconds
            ended = _step(steps[number], shares[number])
            spent[number] += time.perf_counter() - started - (decoding.seconds - decoded)
            if ended is not None:
                results[number] = ended
                del steps[number]
            if decoding.complete > done:  # a speed is made of what is done, which must not be nothing
                progress.advance(decoding.complete - done)
                done = decoding.complete
    finally:
        for left in steps.values():
            left.close()
        progress.end()
    return [_timed(results[number], spent.get(number, 0.0) + decoding.seconds) for number in range(len(plans))]


def _step(steps: Generator[None, None, ExportReport], share: Share) -> ExportReport | BenchError | None:
    try:
        next(steps)
    except StopIteration as end:
        report: ExportReport = end.value
        return report
    except BenchError as error:
        share.leave()
        return error
    return None


def _timed(result: ExportReport | BenchError, seconds: float) -> ExportReport | BenchError:
    return result if isinstance(result, BenchError) else replace(result, seconds=seconds)
