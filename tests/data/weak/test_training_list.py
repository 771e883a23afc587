from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.trees.open_tree import open_folder
from sysu30k_bench.data.weak import training_list
from sysu30k_bench.data.weak.training_list import list_training_images, read_train_txt
from sysu30k_bench.errors import DataError, IntegrityError
from tests.data.weak.sets import write_training_set


def write(path: Path, *lines: str) -> Path:
    path.write_bytes("\n".join(lines).encode())
    return path


def test_rows_folders_and_keys(tmp_path: Path) -> None:
    listed = read_train_txt(write(tmp_path / "t", "0000000002/1.jpg", "0000000002/a b.jpg", "0000000007/x.png", ""))
    assert len(listed) == 3
    assert listed.folders.tolist() == [2, 7]
    assert listed.counts.tolist() == [2, 1]
    assert [listed.rows_of(folder) for folder in (1, 2, 3, 7, 8)] == [
        range(0),
        range(2),
        range(0),
        range(2, 3),
        range(0),
    ]
    assert listed.keys([2, 0]) == ["0000000007/x.png", "0000000002/1.jpg"]
    assert listed.table["folder"].dtype == np.int32
    assert listed.notes == []


@pytest.mark.parametrize(
    "form", ["{}", "sysu_train_set_all/{}", "./{}", "SYSU-30k-released\\sysu_train_set_all\\{}", "{} \r", "\t{}"]
)
def test_what_lines_may_look_like(tmp_path: Path, form: str) -> None:
    names = ["0000000001/1.jpg", "0000000001/Grüße.jpg", "0000028310/99.jpg"]
    lines = [form.format(name.replace("/", "\\") if "\\" in form else name) for name in names]
    assert read_train_txt(write(tmp_path / "t", *lines)).keys(range(3)) == names


def test_lines_out_of_order_are_sorted_and_said(tmp_path: Path) -> None:
    listed = read_train_txt(
        write(tmp_path / "t", "0000000003/1.jpg", "0000000001/2.jpg", "0000000003/0.jpg", "1/1.jpg")
    )
    assert listed.keys(range(4)) == ["0000000001/2.jpg", "0000000001/1.jpg", "0000000003/1.jpg", "0000000003/0.jpg"]
    assert "sorted" in listed.notes[0]


@pytest.mark.parametrize("line", ["holiday.jpg", "abc/1.jpg", "0000000001/", "12345678901/1.jpg", "0000000001/a/b.jpg"])
@pytest.mark.parametrize("usual", [True, False])
def test_lines_that_are_something_else_are_shown(tmp_path: Path, line: str, usual: bool) -> None:
    others = ["0000000001/1.jpg"] if usual else ["x/0000000001/1.jpg"]
    with pytest.raises(IntegrityError, match="not <folder>/<file>") as caught:
        read_train_txt(write(tmp_path / "t", *others, line))
    assert caught.value.details == [repr(line)]


def test_blocks_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_list, "_BLOCK_BYTES", 200)
    names = [f"{folder:010d}/{number}.jpg" for folder in range(1, 90) for number in range(folder % 4 + 1)]
    assert read_train_txt(write(tmp_path / "t", *names)).keys(range(len(names))) == names


def test_files_that_are_no_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_train_txt(tmp_path / "nowhere")
    for content in (b"", b"\n\n"):
        (tmp_path / "t").write_bytes(content)
        with pytest.raises((DataError, IntegrityError)):
            read_train_txt(tmp_path / "t")
    (tmp_path / "t").write_bytes(b"0000000001/\xff\xfe.jpg\n")
    with pytest.raises(IntegrityError):
        read_train_txt(tmp_path / "t")


def test_images_as_they_lie(tmp_path: Path) -> None:
    root = write_training_set(tmp_path, 4)
    listed = list_training_images(open_folder(root), "sysu_train_set_all")
    assert listed.keys(range(len(listed))) == read_train_txt(root / "meta" / "train.txt").keys(range(10))
    with pytest.raises(DataError, match="no training image"):
        list_training_images(open_folder(root), "meta")
