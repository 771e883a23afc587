"""Several checkpoints in one pass: each run is the one that it would be alone, and one decoding serves all."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sysu30k_bench.embeddings import shared_decoding
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.evaluation.evaluate import evaluate
from sysu30k_bench.evaluation.one_pass import evaluate_together
from sysu30k_bench.evaluation.request import EvalRequest, ExportRequest
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.models.networks.colour_stripes import ColourStripes
from sysu30k_bench.progress import Silent


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    """Three files of the training-free network, which has a buffer that may differ."""
    paths = []
    for number in range(3):
        state = {name: value.clone() for name, value in ColourStripes().state_dict().items()}
        for value in state.values():
            if value.is_floating_point():
                value *= 1 + 0.1 * number
        paths.append(tmp_path / f"epoch_{number}.pth")
        torch.save(state, paths[-1])
    return paths


def request(data: Path, output: Path, **changes: object) -> EvalRequest:
    export = ExportRequest(Path(), data=data, output=output, shard_rows=7, batch_size=3, workers=0, skip_damaged=True)
    return EvalRequest(replace(export, **changes))  # type: ignore[arg-type]


def files(run: Path) -> dict[str, str]:
    """Digests of everything in a run folder that must not depend on how it was made."""
    names = [*run.glob("embeddings/*/*"), run / "ranking.csv", run / "top.csv"]
    return {path.relative_to(run).as_posix(): sha256_of_file(path) for path in names}


def alone(weights: list[Path], data: Path, above: Path) -> dict[str, dict[str, str]]:
    made = {}
    for path in weights:
        _, folder = evaluate(
            EvalRequest(replace(request(data, above).export, checkpoint=path, output=above / path.stem))
        )
        made[path.stem] = files(folder.path)
    return made


def test_each_run_has_the_bytes_that_it_has_alone_and_images_are_decoded_once(
    weights: list[Path], own_twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = sorted(own_twin.rglob("gallery/*/*.jpg"))[4]
    damaged.write_bytes(damaged.read_bytes()[:60])
    apart = alone(weights, own_twin, tmp_path / "apart")
    decoded: Counter[bytes] = Counter()
    whole = shared_decoding.decode_whole

    def counted(content: bytes) -> object:
        decoded[content] += 1
        return whole(content)

    monkeypatch.setattr(shared_decoding, "decode_whole", counted)
    outcomes = evaluate_together(request(own_twin, tmp_path / "together"), weights, Silent())
    assert [outcome.error for outcome in outcomes] == [None] * 3
    folders = [outcome.done.folder.path for outcome in outcomes if outcome.done]
    assert [folder.parent for folder in folders] == [tmp_path / "together"] * 3
    assert [files(folder) for folder in folders] == [apart[path.stem] for path in weights]
    records = [outcome.done.record for outcome in outcomes if outcome.done]
    assert len({record.model.weights_sha256 for record in records if record}) == 3
    assert decoded
    assert set(decoded.values()) == {1}


def test_each_resumes_by_itself_and_finished_shards_are_kept(
    weights: list[Path], own_twin: Path, tmp_path: Path
) -> None:
    asked = request(own_twin, tmp_path / "together")
    first = evaluate_together(asked, weights, Silent())
    folders = [outcome.done.folder.path for outcome in first if outcome.done]
    before = [files(folder) for folder in folders]
    (folders[0] / "embeddings/gallery/shard-00001.h5").unlink()
    shutil.rmtree(folders[1])
    kept = (folders[2] / "embeddings/gallery/shard-00000.h5").stat().st_mtime_ns
    again = evaluate_together(asked, weights, Silent())
    assert [outcome.error for outcome in again] == [None] * 3
    assert [files(folder) for folder in folders] == before
    assert (folders[2] / "embeddings/gallery/shard-00000.h5").stat().st_mtime_ns == kept
    lone = replace(asked.export, checkpoint=weights[0], output=folders[0])
    evaluate(EvalRequest(lone))
    assert files(folders[0]) == before[0], "alone it finds the same run"


def test_one_that_fails_does_not_lose_the_others(weights: list[Path], own_twin: Path, tmp_path: Path) -> None:
    weights[1].write_bytes(b"no checkpoint")
    outcomes = evaluate_together(request(own_twin, tmp_path / "together"), weights, Silent())
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, IntegrityError)
    assert outcomes[0].done is not None
    apart = alone(weights[:1], own_twin, tmp_path / "apart")
    assert files(outcomes[0].done.folder.path) == apart[weights[0].stem]


def test_progress_is_never_told_of_nothing_and_adds_up(weights: list[Path], own_twin: Path, tmp_path: Path) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.parts: list[tuple[str, int, list[int]]] = []

        def begin(self, title: str, total: int, unit: str) -> None:  # noqa: ARG002
            self.parts.append((title, total, []))

        def advance(self, count: int) -> None:
            self.parts[-1][2].append(count)

    told = Told()
    export = replace(request(own_twin, tmp_path / "runs").export, checkpoint=weights[0])
    evaluate_together(EvalRequest(export), weights[:2], told)
    parts = [part for part in told.parts if part[0].endswith("2 networks")]
    assert [total for _, total, _ in parts] == [6, 12]
    for _, total, counts in parts:
        assert 0 not in counts
        assert sum(counts) == total


def test_sizes_that_differ_share_the_decoding(own_twin: Path) -> None:
    """What one size gets is what its own decoding gives, to the last bit."""
    from sysu30k_bench.data.open_dataset import open_test_set
    from sysu30k_bench.embeddings.loading import load_batches
    from sysu30k_bench.models.card import Input

    split = open_test_set(own_twin)
    keys, source = split.gallery.keys, split.images
    inputs = [
        Input(height=height, width=width, interpolation=kind, mean=(0.0,) * 3, std=(1.0,) * 3)
        for height, width, kind in ((32, 16, "bilinear"), (40, 20, "bicubic"), (32, 16, "bilinear"))
    ]
    wanted = [[range(3), range(3, 6)], [range(2, 6)], [range(4, 6)]]
    shared = shared_decoding.SharedDecoding(source, keys, wanted, inputs, workers=0, gpu=False)
    for share, batches, one in zip(shared.shares, wanted, inputs, strict=True):
        for ours, own in zip(share, load_batches(source, keys, batches, one, workers=0), strict=True):
            assert ours.positions == own.positions
            assert torch.equal(ours.images, own.images)
    assert shared.complete == 6


def test_what_cannot_be_shared_is_refused(
    weights: list[Path], own_twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(own_twin, tmp_path / "together")
    with pytest.raises(UsageError, match="--split all"):
        evaluate_together(replace(asked, every_split=True), weights, Silent())
    (tmp_path / "copy").mkdir()
    twice = Path(shutil.copy(weights[0], tmp_path / "copy"))
    with pytest.raises(UsageError, match="the same weights under the same name"):
        evaluate_together(asked, [weights[0], twice], Silent())
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="by one process"):
        evaluate_together(asked, weights, Silent())
