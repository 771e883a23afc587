from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from sysu30k_bench.data.inspect.contact_sheet import Row, draw_evenly, draw_sheet
from sysu30k_bench.data.inspect.stats import assemble, part_of
from sysu30k_bench.data.inspect.stats_picture import draw_stats
from sysu30k_bench.data.inspect.survey import stats_of, survey
from sysu30k_bench.data.inspect.verify import verify_archives, verify_images
from sysu30k_bench.data.trees.open_tree import open_folder
from sysu30k_bench.progress import Silent
from tests.conftest import jpeg
from tests.data.trees.archives import tar_with, zip_of
from tests.data.weak.sets import write_training_set


class Counter(Silent):
    def __init__(self) -> None:
        self.done = 0

    def advance(self, count: int) -> None:
        self.done += count


def test_damaged_and_rotated_images_are_told_apart(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(io.BytesIO(jpeg(1))).save(tmp_path / "turned.jpg", exif=exif)
    for number in range(600):
        (tmp_path / f"{number:03d}.jpg").write_bytes(jpeg(2))
    (tmp_path / "007.jpg").write_bytes(b"")
    (tmp_path / "300.jpg").write_bytes(jpeg(2)[:-300])
    keys = open_folder(tmp_path).images("")
    progress = Counter()
    report = verify_images(open_folder(tmp_path), [*keys, "missing.jpg"], "all", progress)
    assert list(report.damaged) == ["007.jpg", "300.jpg", "missing.jpg"]
    assert report.damaged["007.jpg"] == "the file is empty"
    assert report.rotated == 1
    assert report.images == progress.done == 602


def test_archives_report_members_and_faults(tmp_path: Path) -> None:
    tar = tar_with(tmp_path / "a.tar", ("x/1.jpg", b"1"), ("x/2.jpg", b"2" * 4000), ("../3.jpg", b"3"))
    os.truncate(tar, 2000)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "y.jpg").write_bytes(b"y")
    zip_of(tmp_path / "f", tmp_path / "b.zip")
    first, second = verify_archives(tmp_path, Silent())
    assert (first.name, first.members, len(first.faults)) == ("a.tar", 1, 1)
    assert "cut off" in first.faults[0]
    assert (second.name, second.members, second.faults) == ("b.zip", 1, [])
    assert verify_archives(tmp_path / "b.zip", Silent()) == [second]


def test_sheet_has_a_row_a_caption_and_a_field_for_what_is_damaged(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (30, 60), (0, 0, 255)).save(tmp_path / name)
    (tmp_path / "c.jpg").write_bytes(b"no")
    rows = [Row("first", ["a.jpg", "c.jpg"]), Row("second", ["b.jpg"])]
    sheet = np.asarray(Image.open(io.BytesIO(draw_sheet(open_folder(tmp_path), rows)))).astype(int)
    blue = np.abs(sheet - (0, 0, 255)).max(axis=2) < 4
    red = (sheet == (200, 60, 60)).all(axis=2)
    middle = sheet.shape[1] // 2
    upper, lower = slice(0, sheet.shape[0] // 2), slice(sheet.shape[0] // 2, None)
    assert blue[upper, :middle].sum() > 0.9 * 96 * 192, "the first image of the first row"
    assert red[upper, middle:].sum() == 96 * 192, "the damaged image beside it"
    assert blue[lower, :middle].sum() > 0.9 * 96 * 192, "the second row"
    assert not red[lower].any()
    assert (sheet[:, :, 0] < 100).sum() > blue.sum(), "captions are dark"


def test_drawing_evenly_is_without_repetition() -> None:
    rng = np.random.default_rng(0)
    drawn = draw_evenly(100, 10, rng)
    assert drawn == sorted(set(drawn))
    assert draw_evenly(3, 10, rng) == [0, 1, 2]


def test_parts_count_people_distractors_and_junk(tmp_path: Path) -> None:
    names = ("query/0001_c1s1_0.jpg", "bounding_box_test/-1_c1s1_0.jpg", "bounding_box_test/0000_c3s1_0.jpg",
             "bounding_box_test/0001_c2s1_0.jpg", "bounding_box_test/0002_c2s1_0.jpg")  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = survey(tmp_path)
    query, gallery = (part_of(part) for part in found.parts())
    assert (query.images, query.identities, query.cameras) == (1, 1, 1)
    assert (gallery.images, gallery.identities, gallery.cameras, gallery.distractors, gallery.junk) == (4, 2, 3, 1, 1)
    stats = stats_of(found)
    assert stats.images == 5
    assert "Market-1501" not in stats.others
    assert next(iter(stats.others)) == "CUHK03, labelled boxes, new protocol"


def test_pictures_in_every_form(tmp_path: Path) -> None:
    stats = stats_of(survey(write_training_set(tmp_path)))
    assert draw_stats(stats, "png").startswith(b"\x89PNG")
    assert b"<svg" in draw_stats(stats, "svg")
    assert draw_stats(assemble("nothing known", "r", [], []), "pdf").startswith(b"%PDF")
