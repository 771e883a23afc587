"""`submit` and runs that were changed since their search: shards that are not there, or are not the ones searched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sysu30k_bench.board.submit import Claim, prepare
from sysu30k_bench.embeddings.shard import read_shard
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import sha256_of_file
from tests.board.forging import Bench, forge, mirror_one
from tests.sealing import reseal

CLAIM = Claim("mine", "Mine", "none", "https://example.org/code", "somebody", "epoch 800")


class Counted:
    """Counts what is told."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0

    def begin(self, title: str, total: int, unit: str) -> None:  # noqa: ARG002
        self.total = total

    def advance(self, count: int) -> None:
        self.done += count

    def end(self) -> None: ...

    def say(self, message: str) -> None: ...


@pytest.fixture
def run(official_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(official_run, tmp_path / "run"))


def shards(run: Path, role: str = "gallery") -> list[Path]:
    return sorted((run / "embeddings" / role).glob("*.h5"))


def test_every_shard_of_a_whole_run_is_read_and_its_day_is_the_rows(run: Path) -> None:
    progress = Counted()
    row = prepare(run, CLAIM, progress).row
    assert row.evidence is not None
    assert progress.done == progress.total == row.evidence.shards == len(shards(run)) + len(shards(run, "query"))
    assert row.date == json.loads((run / "result.json").read_text())["created"][:10]


@pytest.mark.parametrize("role", ["query", "gallery"])
def test_missing_shards_are_named(run: Path, role: str) -> None:
    gone = shards(run, role)[-1]
    gone.unlink()
    with pytest.raises(DataError, match=r"1 shard of .* is not there") as caught:
        prepare(run, CLAIM)
    assert caught.value.details == [f"{role}/{gone.name}"]


def test_a_shard_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    """Of the same images by the same network, mirrored: all but the digest fits."""
    other = Path(shutil.copytree(run, tmp_path / "other"))
    forge(other, mirror_one)
    shutil.copy(shards(other, "query")[0], shards(run, "query")[0])
    with pytest.raises(IntegrityError, match="is not the shard that the manifest lists"):
        prepare(run, CLAIM)


def test_a_damaged_shard_is_refused(run: Path) -> None:
    path = shards(run)[0]
    embedding = read_shard(path).embedding.tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(embedding) + len(embedding) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="was changed or damaged"):
        prepare(run, CLAIM)


def test_embeddings_that_were_exported_again_are_stale(run: Path) -> None:
    forge(run, mirror_one)  # as an export with other weights would: shards, manifest and export.json are new
    with pytest.raises(
        IntegrityError, match="is not the one that was searched: the query was exported again"
    ) as caught:
        prepare(run, CLAIM)
    assert "search" in (caught.value.hint or "")


def test_an_export_that_tells_of_other_stores_is_stale(run: Path) -> None:
    stores = json.loads((run / "export.json").read_text())["stores"]
    reseal(run / "export.json", stores={**stores, "gallery": "0" * 64})
    with pytest.raises(IntegrityError, match="the gallery was exported again"):
        prepare(run, CLAIM)


def test_a_record_of_another_export_is_stale(run: Path) -> None:
    told = json.loads((run / "export.json").read_text())
    reseal(run / "export.json", model={**told["model"], "weights_sha256": "12345678" * 8})
    with pytest.raises(IntegrityError, match=r"result.json is of another export"):
        prepare(run, CLAIM)
    reseal(run / "result.json", model={**told["model"], "weights_sha256": "12345678" * 8})
    with pytest.raises(IntegrityError, match=r"of another list, checkpoint or card than result.json records"):
        prepare(run, CLAIM)


def test_a_ranking_that_was_edited_is_refused(run: Path) -> None:
    path = run / "ranking.csv"
    before = sha256_of_file(path)
    path.write_text(path.read_text().replace("_c2_2", "_c2_3", 1))
    assert sha256_of_file(path) != before
    with pytest.raises(IntegrityError, match=r"ranking.csv is not the file that"):
        prepare(run, CLAIM)


def test_the_command_says_what_is_missing(bench: Bench, run: Path, tmp_path: Path) -> None:
    shards(run)[0].unlink()
    words = ["--id", "mine", "--method", "Mine", "--supervision", "none", "--source", "s", "--claimed-by", "me"]
    done = bench("submit", run, *words, "--weights", "w", "--board", tmp_path / "board")
    assert done.code == 3
    assert "gallery/shard-00000.h5" in done.err
    assert not (tmp_path / "board").exists()
