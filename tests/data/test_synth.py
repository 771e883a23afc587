from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sysu30k_bench.data.benchmarks.sysu30k import SYNTHETIC_MARK
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.progress import Silent


def digest(root: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        whole.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()


def test_layout_is_the_published_one(own_twin: Path) -> None:
    images = own_twin / "sysu_test_set_all"
    assert (images / "query/000028311/000028311_c2_2.jpg").is_file()
    assert (images / "gallery/000028316/000028316_c1_1.jpg").is_file()
    assert (images / "gallery/0000others/0000others_c1_6.jpg").is_file()
    assert (own_twin / "meta/query.txt").read_text().splitlines()[0] == "000028311/000028311_c2_2.jpg"
    test_set = open_test_set(own_twin)
    assert (len(test_set.query), len(test_set.gallery)) == (6, 12)
    assert test_set.drawn
    assert any("drawn by" in reason for reason in test_set.not_official)
    assert not any(".txt" in reason for reason in test_set.not_official)


def test_equal_seeds_draw_equal_bytes_and_an_interrupted_call_is_finished(tmp_path: Path, own_twin: Path) -> None:
    request = TwinRequest(identities=6, distractors=6, difficulty="easy")
    write_twin(tmp_path / "again", request, Silent())
    assert digest(tmp_path / "again") == digest(own_twin)
    lost = tmp_path / "again/sysu_test_set_all/gallery/0000others/0000others_c1_3.jpg"
    lost.unlink()
    write_twin(tmp_path / "again", request, Silent())
    assert digest(tmp_path / "again") == digest(own_twin)
    write_twin(tmp_path / "seed", TwinRequest(6, 6, "easy", seed=1), Silent())
    assert digest(tmp_path / "seed") != digest(own_twin)


def test_images_are_jpeg_of_people_who_differ(own_twin: Path) -> None:
    images = own_twin / "sysu_test_set_all"
    pictures = [Image.open(path) for path in sorted(images.glob("query/*/*.jpg"))]
    assert all(picture.format == "JPEG" and picture.size == (96, 192) for picture in pictures)
    pixels = np.stack([np.asarray(picture, np.float32) for picture in pictures])
    assert np.abs(pixels[0] - pixels[1]).mean() > 5


def test_foreign_folder_is_left_alone(tmp_path: Path, own_twin: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        write_twin(tmp_path / "mine", TwinRequest(1, 1), Silent())
    with pytest.raises(UsageError, match="other options"):
        write_twin(own_twin, TwinRequest(7, 6, "easy"), Silent())


def test_a_folder_with_the_rest_of_an_interrupted_mark_is_empty(tmp_path: Path) -> None:
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / f".{SYNTHETIC_MARK}.00000000-1.partial").write_bytes(b"{")
    assert write_twin(tmp_path / "twin", TwinRequest(2, 2, "easy"), Silent())


def test_a_folder_that_is_removed_meanwhile_is_not_begun_anew(tmp_path: Path) -> None:
    """What would be written then has no mark, and the same command would refuse the folder."""
    root, request = tmp_path / "drawn", TwinRequest(identities=3, distractors=3)

    class Removing(Silent):
        def advance(self, count: int) -> None:  # noqa: ARG002
            shutil.rmtree(root, ignore_errors=True)

    with pytest.raises(DataError, match="was removed while it was written"):
        write_twin(root, request, Removing())
    assert not root.exists()
    write_twin(root, request, Silent())
    assert len(open_test_set(root).query) == 3
