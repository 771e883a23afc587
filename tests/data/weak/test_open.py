from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sysu30k_bench.data.inspect.survey import sheet_of_bags, stats_of, survey
from sysu30k_bench.data.weak.open_training_set import NoTrainingSetError, open_training_set
from sysu30k_bench.errors import IntegrityError, UsageError
from tests.data.trees.archives import tar_of, tar_with
from tests.data.weak.sets import bag_entries, write_training_set


def ten_tars(root: Path, packed: Path) -> Path:
    """As the release is: every tar holds some of the folders."""
    packed.mkdir()
    for number, folder in enumerate(sorted((root / "sysu_train_set_all").iterdir())):
        files = [
            (f"sysu_train_set_all/{folder.name}/{file.name}", file.read_bytes()) for file in sorted(folder.iterdir())
        ]
        tar_with(packed / f"sysu_train_set_all_{number:02d}.tar", *files)
    shutil.copytree(root / "meta", packed / "meta")
    return packed


def test_folder_and_tars_are_the_same_training_set(tmp_path: Path) -> None:
    root = write_training_set(tmp_path / "unpacked")
    plain, packed = open_training_set(root), open_training_set(ten_tars(root, tmp_path / "tars"))
    assert plain.images is not None
    assert packed.images is not None
    keys = plain.listed.keys(range(len(plain.listed)))
    assert packed.listed.keys(range(len(packed.listed))) == keys
    for key in keys:
        assert packed.images.read(key) == plain.images.read(key)
    assert packed.bags.sizes(packed.listed).tolist() == plain.bags.sizes(plain.listed).tolist()
    inner = open_training_set(root / "sysu_train_set_all")
    assert inner.images is not None
    assert inner.images.read(keys[0]) == plain.images.read(keys[0])


def test_without_lists_images_are_listed_and_bags_made_by_the_rule(tmp_path: Path) -> None:
    found = open_training_set(write_training_set(tmp_path, lists=False))
    assert len(found.bags) == 18
    assert found.bags.sizes(found.listed)[:3].tolist() == [1, 1 + 2, 1 + 2 + 3]
    assert [("rule" in note, "as they are" in note) for note in found.notes] == [(False, True), (True, False)]


def test_lists_without_images(tmp_path: Path) -> None:
    root = write_training_set(tmp_path)
    shutil.rmtree(root / "sysu_train_set_all")
    found = open_training_set(root)
    assert found.images is None
    assert len(found.listed) == 21
    assert [report.id_offset for report in found.offsets] == [0, 1]


def test_offset_by_hand_names_missing_folders(tmp_path: Path) -> None:
    root = write_training_set(tmp_path)
    assert not open_training_set(root).notes[1:]
    found = open_training_set(root, id_offset=0)
    assert any("1 folder that bags name has no images (first: 0000000000)" in note for note in found.notes)
    assert found.bags.sizes(found.listed)[0] == 0


def test_two_readings_that_fit_alike_are_a_question(tmp_path: Path) -> None:
    root = write_training_set(tmp_path, 3)
    entries = [entry for entry in bag_entries(9) if min(entry["BagLabel"]) > 4]  # type: ignore[call-overload]
    (root / "meta" / "bag_level_label.json").write_text(json.dumps(entries))
    with pytest.raises(UsageError, match="--id-offset"):
        open_training_set(root)


def test_nothing_and_damage(tmp_path: Path) -> None:
    with pytest.raises(NoTrainingSetError):
        open_training_set(tmp_path)
    root = write_training_set(tmp_path / "set")
    (root / "meta" / "bag_level_label.json").write_text("[{]")
    with pytest.raises(IntegrityError, match="not a list of bags"):
        open_training_set(root)


def test_stats_count_bags_and_images(tmp_path: Path) -> None:
    stats = stats_of(survey(write_training_set(tmp_path)))
    (train,) = stats.parts
    assert (train.images, train.identities, train.cameras) == (21, 6, None)
    assert stats.bags is not None
    assert stats.bags.bags == 18 == sum(stats.bags.by_images)
    assert stats.bags.identities == {1: 6, 2: 2, 3: 6, 4: 2, 5: 2}
    assert (stats.bags.smallest, stats.bags.largest) == (1, 2 + 3 + 4 + 5 + 6)
    assert stats.published is not None
    assert stats.published.images == 29_606_918
    assert stats.others["Market-1501"].images == 32_668


def test_sheets_draw_images_of_the_bag(tmp_path: Path) -> None:
    found = open_training_set(write_training_set(tmp_path))
    rows = sheet_of_bags(found, 5, 3, seed=1)
    assert len(rows) == 5
    for row in rows:
        assert 1 <= len(row.keys) <= 3
        folders = {int(part) for part in row.caption.split("folders ")[1].split(";")[0].split(", ")}
        assert {int(key[:10]) for key in row.keys} <= folders
    assert rows == sheet_of_bags(found, 5, 3, seed=1)


def test_a_tar_of_test_images_is_not_one_of_training(tmp_path: Path) -> None:
    tar_with(tmp_path / "sysu_test_set_all.tar", ("sysu_test_set_all/query/000028311/000028311_c2_2.jpg", b"x"))
    with pytest.raises(NoTrainingSetError):
        open_training_set(tmp_path)
    assert not list(tmp_path.glob(".*.sqlite"))
    tar_of(write_training_set(tmp_path / "t", 2, lists=False), tmp_path / "train.tar")
    assert len(open_training_set(tmp_path).listed) == 3
    assert len(list(tmp_path.glob(".*.sqlite"))) == 1
