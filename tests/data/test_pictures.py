"""The contact sheet as a grid, and the picture of the counts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from sysu30k_bench.data.images import DamagedImageError, ImageSource
from sysu30k_bench.data.inspect.contact_sheet import Row, draw_sheet, pack
from sysu30k_bench.data.inspect.stats import Part, Stats
from sysu30k_bench.data.inspect.stats_picture import _identities, draw_stats
from sysu30k_bench.data.inspect.survey import sheet_of_people, survey


class OneColour(ImageSource):
    def read(self, key: str) -> bytes:
        if key == "lost":
            raise DamagedImageError(key, "no image")
        out = io.BytesIO()
        Image.new("RGB", (48, 96), (10, 200, 30)).save(out, "JPEG")
        return out.getvalue()


def test_blocks_share_a_line_while_all_of_the_next_fits() -> None:
    rows = [Row(str(count), ["key"] * count) for count in (2, 2, 3, 9, 1, 1)]
    lines = [[int(row.caption) for row in line] for line in pack(rows, 6)]
    assert lines == [[2, 2], [3], [9], [1, 1]]
    assert pack([], 6) == []


def test_queries_have_a_frame_and_lost_images_are_red() -> None:
    content = draw_sheet(OneColour(), [Row("one", ["a", "b"], queries=1), Row("two " * 60, ["lost"])], 3)
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape[1] == 20 + 196 + 20 + 96 + 20
    assert tuple(pixels[40, 20]) == (47, 111, 179)
    assert abs(pixels[80, 20 + 48].astype(int) - [10, 200, 30]).max() < 8
    assert abs(pixels[40, 20 + 100].astype(int) - [10, 200, 30]).max() < 8, "a gallery image has none"
    assert tuple(pixels[80, 20 + 196 + 20 + 48]) == (200, 60, 60)
    captions = pixels[10:31]
    assert (captions[:, -20:] == [250, 250, 248]).all(), "a long caption ends with its block"


def test_people_fill_the_rows_and_no_more(twin: Path) -> None:
    parts = survey(twin).parts()
    rows = sheet_of_people(parts, 3, 8, 0)
    assert len(pack(rows, 8)) == 3
    assert sum(len(row.keys) for row in rows) == 24
    assert all(row.queries == 1 and row.keys[0].startswith("query/") for row in rows)
    assert sheet_of_people(parts, 3, 8, 0) == rows
    assert sheet_of_people(parts, 3, 8, 1) != rows


def test_people_of_query_and_gallery_are_counted_once() -> None:
    parts = [
        Part(role=role, images=9, identities=count, cameras=2, distractors=0, junk=0)
        for role, count in (("train", 751), ("query", 750), ("gallery", 750))
    ]
    stats = Stats(
        dataset="market1501", root="x", parts=parts, images=27, published=None, others={}, bags=None, notes=[]
    )
    assert _identities(stats) == 1501
    assert draw_stats(stats, "svg").startswith(b"<?xml")
    assert b"1,501 identities on this disk" in draw_stats(stats, "svg")
