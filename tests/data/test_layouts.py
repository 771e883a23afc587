from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.subset import limit_test_set
from sysu30k_bench.errors import DataError, UsageError


def make(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


SYSU = (
    "query/000028312/000028312_c2_2.jpg",
    "query/000028311/000028311_c2_2.jpg",
    "gallery/0000others/0000others_c1_2.jpg",
    "gallery/0000others/0000others_c1_10.jpg",
    "gallery/000028311/000028311_c1_1.jpg",
    "gallery/000028312/000028312_c1_1.jpg",
)


def test_sysu30k_order_and_labels(tmp_path: Path) -> None:
    test_set = open_test_set(make(tmp_path, *SYSU))
    assert test_set.dataset == "sysu30k"
    assert test_set.query.keys == [SYSU[1], SYSU[0]]
    assert test_set.gallery.keys == [SYSU[4], SYSU[5], SYSU[3], SYSU[2]]  # `0000others` last; _10 before _2 as strings
    assert test_set.gallery.person_ids.tolist() == [28311, 28312, -1000, -1000]
    assert test_set.gallery.camera_ids.tolist() == [1, 1, 1, 1]
    assert set(test_set.query.table.columns) == {"key", "person_id", "camera_id", "role"}


@pytest.mark.parametrize("below", ["", "sysu_test_set_all", "SYSU-30k-released/SYSU-30k-released/sysu_test_set_all"])
def test_the_published_tree_is_found_at_any_height_with_equal_keys(tmp_path: Path, below: str) -> None:
    make(tmp_path / below, *SYSU)
    assert open_test_set(tmp_path).gallery.keys[0] == SYSU[4]


def test_order_is_that_of_torchvision_image_folder(twin: Path) -> None:
    from torchvision.datasets import ImageFolder

    test_set = open_test_set(twin)
    for role in ("query", "gallery"):
        theirs = [
            Path(path).relative_to(test_set.root).as_posix() for path, _ in ImageFolder(test_set.root / role).samples
        ]
        assert test_set.split(role).keys == theirs


def test_hidden_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, *SYSU, "gallery/._x.jpg", "gallery/000028311/Thumbs.db", "gallery/.000028311_c1_9.jpg")
    assert len(open_test_set(tmp_path).gallery) == 4


def test_linked_folder_is_followed_and_a_loop_ends(tmp_path: Path) -> None:
    make(tmp_path / "set", *SYSU)
    make(tmp_path / "elsewhere", "0000others_c1_77.jpg")
    (tmp_path / "set/gallery/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/gallery/loop").symlink_to(tmp_path / "set/gallery")
    keys = open_test_set(tmp_path / "set").gallery.keys
    assert "gallery/more/0000others_c1_77.jpg" in keys
    assert len(keys) == 5


def test_names_that_do_not_parse_are_all_listed(tmp_path: Path) -> None:
    make(tmp_path, *SYSU, "gallery/000028311/holiday.jpg", "gallery/000028311/cat_c1.jpg")
    with pytest.raises(DataError, match="2 of 6") as caught:
        open_test_set(tmp_path)
    assert caught.value.details == ["000028311/cat_c1.jpg", "000028311/holiday.jpg"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    make(tmp_path, *SYSU)
    try:
        (
            Path(str(tmp_path))
            / "gallery"
            / "0000others"
            / b"0000others_c1_\xff.jpg".decode("utf-8", "surrogateescape")
        ).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses the name itself")
    with pytest.raises(DataError, match="UTF-8"):
        open_test_set(tmp_path)


def test_file_in_the_folder_of_another_identity_is_told(tmp_path: Path) -> None:
    make(tmp_path, *SYSU, "gallery/000028311/000028312_c1_7.jpg")
    assert any("folder of another identity" in warning for warning in open_test_set(tmp_path).warnings)


def test_empty_gallery(tmp_path: Path) -> None:
    make(tmp_path, SYSU[0])
    (tmp_path / "gallery").mkdir()
    with pytest.raises(DataError, match="no image in"):
        open_test_set(tmp_path)


def test_wrong_root_says_what_is_there_and_where_to_look(tmp_path: Path) -> None:
    make(tmp_path / "data", *SYSU)
    with pytest.raises(DataError, match="it holds data/") as caught:
        open_test_set(tmp_path)
    assert str(tmp_path / "data") in str(caught.value.hint)
    with pytest.raises(DataError) as inside:
        open_test_set(tmp_path / "data" / "query")
    assert f"{tmp_path / 'data'} looks like sysu30k" in str(inside.value.hint)
    with pytest.raises(DataError, match="no folder"):
        open_test_set(tmp_path / "nowhere")


def test_ambiguous_layout_is_a_question(tmp_path: Path) -> None:
    make(tmp_path, *SYSU, "bounding_box_test/0001_c1s1_0.jpg", "query/0001_c2s1_0.jpg")
    with pytest.raises(UsageError, match="more than one"):
        open_test_set(tmp_path)


def test_meta_lists_are_compared_whatever_their_slashes(tmp_path: Path) -> None:
    root = make(tmp_path / "sysu_test_set_all", *SYSU)
    lines = ["gallery\\000028311\\000028311_c1_1.jpg", "000028312/000028312_c1_1.jpg", "0000others/0000others_c1_2.jpg",
             "0000others/0000others_c1_10.jpg", ""]  # fmt: skip
    meta = tmp_path / "meta" / "gallery.txt"
    make(tmp_path, "meta/gallery.txt")
    meta.write_text("\n".join(lines))
    assert not [reason for reason in open_test_set(root).not_official if "gallery.txt" in reason]
    meta.write_text("\n".join([*lines[:3], "0000others/0000others_c1_999.jpg"]))
    reasons = [reason for reason in open_test_set(root).not_official if "gallery.txt" in reason]
    assert reasons == [
        "1 image of gallery.txt is not in gallery/ (first: 0000others/0000others_c1_999.jpg)",
        "1 image in gallery/ is not in gallery.txt (first: 0000others/0000others_c1_10.jpg)",
    ]


def test_market1501(tmp_path: Path) -> None:
    make(tmp_path, "query/0001_c1s1_0.jpg", "bounding_box_test/-1_c1s1_0.jpg", "bounding_box_test/0000_c1s1_0.jpg",
         "bounding_box_test/0001_c2s1_0.jpg", "bounding_box_test/0001_c1s1_1.jpg")  # fmt: skip
    test_set = open_test_set(tmp_path)
    assert test_set.dataset == "market1501"
    assert test_set.gallery.person_ids.tolist() == [-1, 0, 1, 1]
    assert len(test_set.not_official) == 2


@pytest.mark.parametrize("gallery", [478_730, 478_731, 479_730])
def test_every_published_reading_of_the_gallery_is_accepted_and_named(gallery: int) -> None:
    notes, reasons = published_counts()["sysu30k"].compare(1000, gallery)
    assert not reasons
    assert f"{gallery:,}" in notes[0]


@pytest.mark.parametrize(("query", "gallery", "count"), [(999, 478_731, 1), (1000, 478_732, 1), (5, 5, 2)])
def test_other_counts_are_not_official(query: int, gallery: int, count: int) -> None:
    assert len(published_counts()["sysu30k"].compare(query, gallery)[1]) == count


def test_fingerprint_depends_on_every_column_and_on_order(twin: Path) -> None:
    split = open_test_set(twin).gallery
    prints = {
        split.fingerprint,
        split.take(np.arange(len(split))[::-1]).fingerprint,
        split.take(np.arange(5)).fingerprint,
    }
    for column, value in (("key", "other"), ("person_id", 7), ("camera_id", 9)):
        table = split.table.copy()
        table.loc[0, column] = value
        prints.add(type(split)(split.role, table).fingerprint)
    prints.add(type(split)("query", split.table).fingerprint)
    assert len(prints) == 7


@pytest.mark.parametrize("limit", [1, 7, 39, 60, 1000])
def test_limit_keeps_matches_and_order_and_is_never_official(twin: Path, limit: int) -> None:
    whole = open_test_set(twin)
    part = limit_test_set(whole, limit)
    assert len(part.query) == min(limit, 40)
    assert len(part.gallery) == min(max(limit, 1), 100)
    assert set(part.query.person_ids) <= set(part.gallery.person_ids)
    positions = [whole.gallery.keys.index(key) for key in part.gallery.keys]
    assert positions == sorted(positions)
    assert any("--limit" in reason for reason in part.not_official)
