from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sysu30k_bench.data.naming.names import parse_market1501, parse_sysu30k


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("000028311_c1_1.jpg", (28311, 1)),
        ("000028311_c2_2.jpg", (28311, 2)),
        ("0000others_c1_17.jpg", (-1000, 1)),
        ("0000others_c12_478730.JPG", (-1000, 12)),
        ("000028311_c123_1.jpg", (28311, 123)),
        ("000029310_c1.png", (29310, 1)),
        ("scan_c1.jpg", None),
        ("000028311.jpg", None),
        ("000028311_x1_1.jpg", None),
        ("000028311_c_1.jpg", None),
        ("-1_c1_1.jpg", None),
        ("", None),
        ("٣_c1_1.jpg", None),
        ("9" * 30 + "_c1_1.jpg", None),
    ],
)
def test_sysu30k(name: str, labels: tuple[int, int] | None) -> None:
    assert parse_sysu30k(name) == labels


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("0002_c1s1_000451_03.jpg", (2, 1)),
        ("0000_c6s3_077467_04.jpg", (0, 6)),
        ("-1_c3s2_000001_00.jpg", (-1, 3)),
        ("0001_c12s1_front.jpg", (1, 12)),
        ("Thumbs_c1.jpg", None),
        ("-2_c1s1.jpg", None),
        ("0001c1s1.jpg", None),
    ],
)
def test_market1501(name: str, labels: tuple[int, int] | None) -> None:
    assert parse_market1501(name) == labels


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**6), st.integers(0, 10**6))
def test_every_published_pattern_reads_back(person: int, camera: int, number: int) -> None:
    assert parse_sysu30k(f"{person:09d}_c{camera}_{number}.jpg") == (person, camera)


@given(st.text(max_size=40))
def test_no_text_makes_the_parsers_fail(text: str) -> None:
    for parse in (parse_sysu30k, parse_market1501):
        labels = parse(text)
        assert labels is None or labels.camera_id >= 0
