"""`data` as a user types it, and `eval` from archives and of other benchmarks."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Outcome, Zygote
from tests.data.test_benchmarks import ALL, cuhk03_mat, cuhk03_np, viper
from tests.data.trees.archives import tar_of, tar_with, zip_of
from tests.data.weak.sets import write_training_set
from tests.data.weak.test_open import ten_tars

Bench = Callable[..., Outcome]


@pytest.fixture
def packed(own_twin: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "packed"
    folder.mkdir()
    tar_of(own_twin / "sysu_test_set_all", folder / "sysu_test_set_all.tar", "sysu_test_set_all/")
    return folder


def shards(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("embeddings/*/shard-*.h5"))}


@pytest.mark.parametrize("workers", [0, 2])
def test_eval_from_tar_gives_the_bytes_that_the_folder_gives(
    bench: Bench, own_twin: Path, packed: Path, stripes_checkpoint: Path, tmp_path: Path, workers: int
) -> None:
    options = ("--workers", workers, "--shard-rows", 5, "--json")
    plain = bench("eval", stripes_checkpoint, "--data", own_twin, "--output", tmp_path / "a", *options)
    tarred = bench("eval", stripes_checkpoint, "--data", packed, "--output", tmp_path / "b", *options)
    named = bench(
        "eval", stripes_checkpoint, "--data", packed / "sysu_test_set_all.tar", "--output", tmp_path / "c", *options
    )
    assert (plain.code, tarred.code, named.code) == (0, 0, 0), tarred.err
    assert shards(tmp_path / "a") == shards(tmp_path / "b") == shards(tmp_path / "c") != {}
    assert plain.json["metrics"] == tarred.json["metrics"] == named.json["metrics"]
    assert plain.json["data"]["gallery_fingerprint"] == tarred.json["data"]["gallery_fingerprint"]


def test_a_tar_cut_short_is_never_official_and_verify_says_where(
    bench: Bench, packed: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    tar = packed / "sysu_test_set_all.tar"
    whole = bench("data", "verify", packed, "--json")
    assert whole.code == 0
    assert not whole.json["damaged"]
    os.truncate(tar, tar.stat().st_size * 2 // 3 // 512 * 512 - 100)
    outcome = bench("data", "verify", packed)
    assert outcome.code == 4
    assert "cut off" in outcome.out  # inside a header or inside an image
    assert "differs from what is published" in outcome.out
    quick = bench("data", "verify", packed, "--quick", "--json")
    assert quick.code == 4
    assert len(quick.json["archives"][0]["faults"]) == 1
    evaluated = bench("eval", stripes_checkpoint, "--data", packed, "--output", tmp_path / "r", "--json")
    if evaluated.code == 0:
        assert any("cannot be read" in reason for reason in evaluated.json["not_official_because"])
    else:
        assert evaluated.code == 3


def test_index_is_made_once_and_survives_a_kill(bench: Bench, zygote: Zygote, tmp_path: Path) -> None:
    folder = tmp_path / "tars"
    folder.mkdir()
    tar_with(folder / "big.tar", *((f"g/{number:06d}.jpg", b"x" * 10) for number in range(60_000)))
    process = zygote.begin("data", "index", folder)
    partial = folder / ".big.tar.index.sqlite.partial"
    for _ in range(3000):
        if partial.exists() and partial.stat().st_size > 400_000:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait()[0] == -signal.SIGKILL
    outcome = bench("data", "index", folder, "--json")
    assert outcome.code == 0
    assert [report["members"] for report in outcome.json] == [60_000]
    assert not partial.exists()
    assert "60,000 files" in bench("data", "index", folder).out
    assert "no tar or zip" in bench("data", "index", tmp_path).out


def test_what_cannot_be_indexed_is_no_success(bench: Bench, tmp_path: Path) -> None:
    """It ended with 0 and "0 files" on a full disk, and of what is no tar."""
    tar_with(tmp_path / "good.tar", ("g/1.jpg", b"x"))
    full = "import errno, filelock\ndef fail(*a, **k): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    done = bench("data", "index", tmp_path, before=f"{full}filelock.FileLock.acquire = fail")
    assert (done.code, "can be written nowhere" in done.err, "disk is full" in done.err) == (3, True, True)
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 500)
    done = bench("data", "index", tmp_path)
    assert (done.code, "1 archive below" in done.err, "bad.tar: " in done.err) == (4, True, True)
    assert "good.tar: 1 files" in done.out
    assert bench("data", "index", tmp_path, "--json").code == 4


def test_bags_stats_show_and_verify_of_the_training_set(bench: Bench, tmp_path: Path) -> None:
    root = write_training_set(tmp_path / "set")
    tars = ten_tars(root, tmp_path / "tars")
    for place in (root, tars):
        found = bench("data", "bags", place, "--json", "--table", tmp_path / "bags.csv").json
        assert (found["bags"], found["id_offset"], found["against_the_rule"], found["images"]) == (18, 1, 0, 21)
        assert [reading["missing_folders"] for reading in found["readings"]] == [1, 0]
        assert (tmp_path / "bags.csv").read_text().splitlines()[2] == "1,0,1,2,3"
        forced = bench("data", "bags", place, "--id-offset", 0, "--json").json
        assert forced["without_images"] == 1
        counted = bench("data", "stats", place, "--json", "--picture", tmp_path / "s.png").json
        assert counted["bags"]["bags"] == 18
        assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
        sheet = bench("data", "show", place, "--output", tmp_path / "sheet.png", "--rows", 3, "--columns", 4)
        assert sheet.code == 0, sheet.err
        assert "data agreement" in sheet.err
        checked = bench("data", "verify", place)
        assert checked.code == 0, checked.out
        assert "train: 21 images, 0 do not decode" in checked.out
    assert "labels + 1 as folders: 0 missing" in bench("data", "bags", root).out
    said = bench("data", "stats", root, env={"COLUMNS": "120"})
    assert "29,606,918" in said.out
    assert "18 bags by number of images" in said.out
    (root / "sysu_train_set_all/0000000003/2.jpg").write_bytes(b"")
    (root / "sysu_train_set_all/0000000004/1.jpg").unlink()
    damaged = bench("data", "verify", root, "--json")
    assert damaged.code == 4
    assert sorted(damaged.json["images"]["train"]["damaged"]) == ["0000000003/2.jpg", "0000000004/1.jpg"]


def test_show_of_a_test_set_and_of_nothing(bench: Bench, own_twin: Path, tmp_path: Path) -> None:
    outcome = bench("data", "show", own_twin, "--output", tmp_path / "t.png")
    assert outcome.code == 0, outcome.err
    assert Image.open(tmp_path / "t.png").width > 100
    assert bench("data", "show", own_twin, "--by", "bag", "--output", tmp_path / "n.png").code == 3
    assert bench("data", "show", tmp_path / "nowhere").code == 3
    (tmp_path / "empty").mkdir()
    for command in ("show", "stats", "bags"):
        assert bench("data", command, tmp_path / "empty").code == 3, command
    assert bench("data", "stats", own_twin, "--picture", "x.gif").code == 2
    training = write_training_set(tmp_path / "train")
    refused = bench("data", "show", training, "--by", "identity", "--output", tmp_path / "n.png")
    assert refused.code == 3
    assert "--by bag" in refused.err


@pytest.mark.parametrize("make", [*ALL, cuhk03_np, cuhk03_mat])
def test_eval_of_every_benchmark(
    bench: Bench, stripes_checkpoint: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    root = make(tmp_path / "root")
    named = ("--dataset", "cuhk03-detected") if "cuhk03" in make.__name__ else ()
    outcome = bench("eval", stripes_checkpoint, "--data", root, *named, "--output", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    assert not outcome.json["official"]
    assert outcome.json["counts"]["query"] > 0
    assert bench("data", "stats", root, *named).code == 0
    assert bench("data", "verify", root, *named).code == 0


def test_all_splits_and_one(bench: Bench, stripes_checkpoint: Path, tmp_path: Path) -> None:
    archive = zip_of(viper(tmp_path / "VIPeR"), tmp_path / "VIPeR.v1.0.zip", "VIPeR/")
    shutil.rmtree(tmp_path / "VIPeR")
    run = tmp_path / "run"
    outcome = bench("eval", stripes_checkpoint, "--data", archive, "--split", "all", "--output", run, "--json")
    assert outcome.code == 0, outcome.err
    values = outcome.json["metrics"]["rank1"]["values"]
    assert len(values) == outcome.json["splits"] == 10
    assert outcome.json["metrics"]["rank1"]["mean"] == pytest.approx(sum(values) / 10)
    single = bench("eval", stripes_checkpoint, "--data", archive, "--split", 7, "--output", tmp_path / "one", "--json")
    assert single.json["metrics"]["rank1"]["value"] == values[6]
    assert single.json["data"]["split"] == 7
    table = bench("eval", stripes_checkpoint, "--data", archive, "--split", "all", "--output", run)
    assert "mean of 10 splits" in table.out
    assert (run / "splits.json").is_file()
    for wrong, code in (("0", 2), ("all of them", 2), ("11", 2)):
        assert bench("eval", stripes_checkpoint, "--data", archive, "--split", wrong).code == code
    assert bench("eval", stripes_checkpoint, "--data", archive, "--split", "all", "--dry-run").code == 2


def test_all_splits_of_a_benchmark_with_one(bench: Bench, own_twin: Path, stripes_checkpoint: Path) -> None:
    outcome = bench("eval", stripes_checkpoint, "--data", own_twin, "--split", "all")
    assert outcome.code == 2
    assert "one split" in outcome.err
    assert bench("data", "lists", own_twin, "--split", 2).code == 2


def test_a_compressed_tar_says_what_to_do(bench: Bench, stripes_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "MSMT17_V1.tar.gz").write_bytes(b"\x1f\x8b\x08")
    outcome = bench("eval", stripes_checkpoint, "--data", tmp_path / "MSMT17_V1.tar.gz")
    assert outcome.code == 3
    assert "gunzip" in outcome.err


def test_verify_of_nothing_of_damaged_lists_and_of_what_is_no_archive(
    bench: Bench, packed: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    nothing = bench("data", "verify", tmp_path / "empty")
    assert nothing.code == 3
    assert "not the root of a known test set" in nothing.err
    root = write_training_set(tmp_path / "set")
    (root / "meta" / "bag_level_label.json").write_text("[{]")
    lists = bench("data", "verify", root)
    assert lists.code == 4
    assert "not a list of bags" in lists.err
    (packed / "sysu_train_set_all_01.tar").write_text("<html>quota exceeded</html>" * 100)
    page = bench("data", "verify", packed)
    assert page.code == 4
    assert "sysu_test_set_all.tar: " in page.out
    assert "is not a tar that can be read in place" in page.out
