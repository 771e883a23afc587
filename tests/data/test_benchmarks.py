"""Every benchmark on a miniature of its official layout, as a folder and in its archive, and on broken ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sysu30k_bench.data.benchmarks.benchmark import drawn_people
from sysu30k_bench.data.benchmarks.published import published_counts
from sysu30k_bench.data.benchmarks.registry import ASKED_FOR, BENCHMARKS
from sysu30k_bench.data.images import DamagedImageError, decode
from sysu30k_bench.data.naming.dataset_names import DATASETS
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import TestSet
from sysu30k_bench.data.trees.open_tree import open_folder
from sysu30k_bench.data.trees.tree import Subtree
from sysu30k_bench.errors import DataError, UsageError
from tests.data.trees.archives import tar_of, zip_of


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8), (number % 256, 3, 7)).save(root / name)
    return root


MARKET = ("query/0001_c1s1_001051_00.jpg", "query/0002_c2s1_000301_00.jpg", "bounding_box_test/-1_c1s1_000401_03.jpg",
          "bounding_box_test/0000_c1s1_000151_01.jpg", "bounding_box_test/0001_c2s1_000301_01.jpg",
          "bounding_box_test/0002_c1s1_000451_03.jpg", "bounding_box_train/0007_c3s3_077419_03.jpg")  # fmt: skip
DUKE = ("query/0005_c2_f0046985.jpg", "bounding_box_test/0005_c5_f0051341.jpg",
        "bounding_box_test/0002_c1_f0044158.jpg", "bounding_box_train/0001_c2_f0046182.jpg")  # fmt: skip
MSMT = ("0000/0000_000_01_0303morning_0008_0.jpg", "0000/0000_001_05_0303noon_0015_1.jpg",
        "0001/0001_000_12_0113afternoon_0480_0.jpg", "0001/0001_003_02_0303morning_0112_1.jpg")  # fmt: skip


def msmt17(root: Path, train: str, test: str) -> Path:
    write(root, *(f"{test}/{name}" for name in MSMT), f"{train}/{MSMT[0]}", f"{train}/{MSMT[1]}")
    lists = {"query": [0, 2], "gallery": [1, 3], "train": [0], "val": [1]}
    for name, rows in lists.items():
        lines = [f"{MSMT[row]} {row // 2}\n" for row in rows]
        (root / f"list_{name}.txt").write_text("".join(lines))
    return root


def viper(root: Path, people: int = 20) -> Path:
    return write(
        root, *(f"{cam}/{n:03d}_{angle}.bmp" for n in range(people) for cam, angle in (("cam_a", 0), ("cam_b", 90)))
    )


def prid(root: Path) -> Path:
    names = [f"single_shot/cam_a/person_{n:04d}.png" for n in range(1, 31)]
    names += [f"single_shot/cam_b/person_{n:04d}.png" for n in [*range(1, 21), *range(40, 60)]]
    return write(root, *names)


def cuhk01(root: Path, people: int = 9) -> Path:
    return write(root, *(f"campus/{n:04d}{k:03d}.png" for n in range(1, people + 1) for k in range(1, 5)))


def caviar(root: Path) -> Path:
    return write(
        root, *(f"CAVIAR4REID/{n:04d}{k:03d}.jpg" for n in range(1, 13) for k in range(1, 21 if n <= 8 else 11))
    )


def cuhk03_np(root: Path) -> Path:
    names = ("query/0003_c1_21.png", "bounding_box_test/0003_c2_22.png", "bounding_box_train/0001_c1_1.png")
    return write(root, *(f"labeled/{name}" for name in names), *(f"detected/{name}" for name in names))


def cuhk03_mat(root: Path, people: int = 6) -> Path:
    """`cuhk-03.mat` as MATLAB writes it: cells are references, and every array is the other way round."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with h5py.File(root / "cuhk-03.mat", "w") as file:
        values = file.create_group("#refs#")

        def put(array: np.ndarray) -> h5py.Reference:
            return values.create_dataset(str(len(values)), data=array).ref

        for boxes in ("labeled", "detected"):
            pairs = []
            for pair in range(2):
                cells = np.empty((10, people), h5py.ref_dtype)
                for view in range(10):
                    for person in range(people):
                        missing = view in {4, 9} or ((pair, person) == (1, 0) and view >= 5)
                        image = rng.integers(0, 256, (6, 4, 3), np.uint8)
                        cells[view, person] = put(np.zeros(2, np.uint64) if missing else image.transpose(2, 1, 0))
                pairs.append(put(cells))
            table = np.empty((1, 2), h5py.ref_dtype)
            table[0] = pairs
            file.create_dataset(boxes, data=table)
        tests = np.empty((1, 20), h5py.ref_dtype)
        for number in range(20):
            chosen = np.array([[1, 2, 2], [1 + number % people, 1, 3]], np.float64)
            tests[0, number] = put(chosen)
        file.create_dataset("testsets", data=tests)
    names = np.empty((5, 1), object)
    names[:, 0] = ["1_001_1_01.png", "1_001_2_06.png", "2_003_1_02.png", "2_003_2_08.png", "1_002_1_01.png"]
    for boxes in ("labeled", "detected"):
        savemat(
            root / f"cuhk03_new_protocol_config_{boxes}.mat",
            {
                "filelist": names,
                "labels": np.array([[1], [1], [9], [9], [2]], np.uint16),
                "camId": np.array([[1], [2], [1], [2], [1]], np.uint8),
                "train_idx": np.array([[5]], np.uint16),
                "query_idx": np.array([[1], [3]], np.uint16),
                "gallery_idx": np.array([[2], [4]], np.uint16),
            },
        )
    return root


def labels(test_set: TestSet) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    query, gallery = (
        list(zip(split.person_ids.tolist(), split.camera_ids.tolist(), strict=True))
        for split in (test_set.query, test_set.gallery)
    )
    return query, gallery


def decodes(test_set: TestSet) -> None:
    for split in (test_set.query, test_set.gallery):
        for key in split.keys:
            assert test_set.images.size(key) > 0
            assert decode(test_set.images.read(key), 8, 4, "bicubic").shape == (3, 8, 4)


def test_names_of_the_command_line_are_those_of_the_registry() -> None:
    assert list(BENCHMARKS) == list(DATASETS)
    assert set(BENCHMARKS) <= set(published_counts())
    assert set(ASKED_FOR) < set(DATASETS)
    for name, counts in published_counts().items():
        assert counts.title, name
        assert counts.source, name


@pytest.mark.parametrize("inside", ["", "DukeMTMC-reID"])
def test_dukemtmc(tmp_path: Path, inside: str) -> None:
    write(tmp_path / inside, *DUKE)
    test_set = open_test_set(tmp_path)
    assert test_set.dataset == "dukemtmc"
    assert labels(test_set) == ([(5, 2)], [(2, 1), (5, 5)])
    assert any("withdrawn" in warning for warning in test_set.warnings)
    assert len(test_set.not_official) == 2
    place = Subtree(open_folder(tmp_path), inside)
    assert BENCHMARKS["dukemtmc"].read(place, "train", 1).person_ids.tolist() == [1]
    decodes(test_set)


def test_market1501_with_its_distractors_by_name_alone(tmp_path: Path) -> None:
    write(tmp_path, *MARKET, "distractors_500k/0000_c3s2_001234_00.jpg", "distractors_500k/1.jpg")
    assert open_test_set(tmp_path).dataset == "market1501"
    test_set = open_test_set(tmp_path, "market1501-500k")
    assert test_set.gallery.keys[-2:] == ["distractors_500k/0000_c3s2_001234_00.jpg", "distractors_500k/1.jpg"]
    assert test_set.gallery.person_ids.tolist() == [-1, 0, 1, 2, 0, 0]
    assert test_set.gallery.table["role"].unique().tolist() == ["gallery"]
    found = relevance(
        *(
            getattr(split, f"{what}_ids")
            for split in (test_set.query, test_set.gallery)
            for what in ("person", "camera")
        )
    )
    assert found.ranked_counts.tolist() == [5, 5]
    with pytest.raises(DataError, match="distractors_500k"):
        open_test_set(write(tmp_path / "plain", *MARKET), "market1501-500k")


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_of_both_releases(tmp_path: Path, train: str, test: str) -> None:
    msmt17(tmp_path / "MSMT17_V1", train, test)
    test_set = open_test_set(tmp_path)
    assert test_set.dataset == "msmt17"
    assert test_set.query.keys == [f"{test}/{MSMT[0]}", f"{test}/{MSMT[2]}"]
    assert labels(test_set) == ([(0, 1), (1, 12)], [(0, 5), (1, 2)])
    decodes(test_set)
    place = Subtree(open_folder(tmp_path), "MSMT17_V1")
    part = BENCHMARKS["msmt17"].read(place, "train", 1)
    assert part.keys == [f"{train}/{MSMT[0]}", f"{train}/{MSMT[1]}"]


@pytest.mark.parametrize(
    "line", ["0000/nothing.jpg 0", f"{MSMT[0]}", f"../{MSMT[0]} 0", f"/{MSMT[0]} 0", f"{MSMT[0]} -3"]
)
def test_lines_of_msmt17_that_do_not_parse(tmp_path: Path, line: str) -> None:
    msmt17(tmp_path, "train", "test")
    (tmp_path / "list_gallery.txt").write_text(f"{MSMT[1]} 0\n{line}\n")
    with pytest.raises(DataError, match="1 of 2 lines") as caught:
        open_test_set(tmp_path)
    assert caught.value.details == [line]


def test_viper_splits(tmp_path: Path) -> None:
    test_set = open_test_set(viper(tmp_path / "VIPeR").parent)
    assert test_set.dataset == "viper"
    assert test_set.split_number == 1
    assert len(test_set.query) == len(test_set.gallery) == 10
    assert set(test_set.query.camera_ids) == {1}
    assert set(test_set.gallery.camera_ids) == {2}
    assert test_set.query.person_ids.tolist() == test_set.gallery.person_ids.tolist()
    prints = {open_test_set(tmp_path, split=number).query.fingerprint for number in range(1, 11)}
    assert len(prints) == 10
    assert open_test_set(tmp_path, split=3).query.fingerprint == open_test_set(tmp_path, split=3).query.fingerprint
    with pytest.raises(UsageError, match="no split 11"):
        open_test_set(tmp_path, split=11)
    place = Subtree(open_folder(tmp_path), "VIPeR")
    train = BENCHMARKS["viper"].read(place, "train", 4)
    tested = open_test_set(tmp_path, split=4).query.person_ids
    assert set(train.person_ids) | set(tested) == set(range(20))
    assert not set(train.person_ids) & set(tested)
    decodes(test_set)


def test_random_splits_are_the_same_for_ever() -> None:
    train, test = drawn_people(np.array([5, 3, 3, 8, 9, 1]), 2, 1)
    assert (train.tolist(), test.tolist()) == ([3, 5], [1, 8, 9])


def test_prid2011(tmp_path: Path) -> None:
    test_set = open_test_set(prid(tmp_path / "prid_2011"))
    assert test_set.dataset == "prid2011"
    assert len(test_set.query) == 10
    assert len(test_set.gallery) == 40 - 10  # camera b, less those trained on
    assert set(test_set.query.person_ids) <= set(range(1, 21))
    assert set(range(40, 60)) <= set(test_set.gallery.person_ids)
    decodes(test_set)


def test_cuhk01(tmp_path: Path) -> None:
    test_set = open_test_set(cuhk01(tmp_path))
    assert test_set.dataset == "cuhk01"
    assert len(test_set.query) == len(test_set.gallery) == 2 * 5  # four of nine are trained on
    assert {key[-7:-4] for key in test_set.query.keys} == {"001", "002"}
    decodes(test_set)


def test_caviar4reid(tmp_path: Path) -> None:
    caviar(tmp_path)
    for number in range(1, 11):
        test_set = open_test_set(tmp_path, split=number)
        assert test_set.dataset == "caviar4reid"
        people = set(test_set.gallery.person_ids)
        assert len(people) == 6
        alone = {person for person in people if person > 8}
        assert set(test_set.query.person_ids) == people - alone
        for person in people:
            cameras = set(test_set.gallery.camera_ids[test_set.gallery.person_ids == person])
            assert cameras == ({1} if person in alone else {2})


def test_cuhk03_new_protocol_folders_are_asked_which(tmp_path: Path) -> None:
    cuhk03_np(tmp_path / "cuhk03-np")
    with pytest.raises(UsageError, match="cuhk03-labeled, cuhk03-detected"):
        open_test_set(tmp_path)
    test_set = open_test_set(tmp_path, "cuhk03-detected")
    assert labels(test_set) == ([(3, 1)], [(3, 2)])
    decodes(test_set)


@pytest.mark.parametrize("boxes", ["labeled", "detected"])
def test_cuhk03_mat_new_protocol(tmp_path: Path, boxes: str) -> None:
    cuhk03_mat(tmp_path)
    test_set = open_test_set(tmp_path, f"cuhk03-{boxes}")
    assert test_set.query.keys == ["1_001_1_01.png", "2_003_1_02.png"]
    assert labels(test_set) == ([(1, 1), (9, 1)], [(1, 2), (9, 2)])
    decodes(test_set)
    with h5py.File(tmp_path / "cuhk-03.mat") as file:
        pair = file[file[boxes][0, 0]]
        pixels = file[pair[0, 0]][()].transpose(2, 1, 0)
    assert np.array_equal(decode(test_set.images.read("1_001_1_01.png"), 6, 4, "nearest"), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("split", [1, 5, 20])
def test_cuhk03_mat_classic_protocol(tmp_path: Path, split: int) -> None:
    cuhk03_mat(tmp_path)
    test_set = open_test_set(tmp_path, "cuhk03-labeled-classic", split)
    tested = {1000 + 1 + (split - 1) % 6, 2001, 2003}
    assert set(test_set.query.person_ids) == tested
    assert set(test_set.query.camera_ids) == {1}
    assert len(test_set.query) == 3 * 4
    assert test_set.gallery.person_ids.tolist() == sorted(tested - {2001}, key=lambda person: (person // 1000, person))
    assert set(test_set.gallery.camera_ids) == {2}
    decodes(test_set)
    with pytest.raises(DamagedImageError):
        test_set.images.read("1_001_1_05.png")
    for key in ("9_001_1_01.png", "1_000_1_01.png", "nonsense", "1_001_1_-1.png"):
        assert test_set.images.size(key) == -1


def market(root: Path) -> Path:
    return write(root, *MARKET)


def duke(root: Path) -> Path:
    return write(root, *DUKE)


ALL = [market, duke, lambda root: msmt17(root, "train", "test"), viper, prid, cuhk01, caviar]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_an_archive_in_place_is_the_folder(tmp_path: Path, make: object, pack: object) -> None:
    folder = make(tmp_path / "unpacked")  # type: ignore[operator]
    archive = pack(folder, tmp_path / ("a.tar" if pack is tar_of else "a.zip"))  # type: ignore[operator]
    plain, packed = open_test_set(folder), open_test_set(archive)
    assert packed.dataset == plain.dataset
    for role in ("query", "gallery"):
        assert packed.split(role).fingerprint == plain.split(role).fingerprint
        for key in plain.split(role).keys:
            assert packed.images.read(key) == plain.images.read(key)
    beside = open_test_set(tmp_path)  # the archive in a folder with other things
    assert beside.gallery.fingerprint == plain.gallery.fingerprint


@pytest.mark.parametrize("make", ALL)
def test_a_part_that_is_empty_is_named(tmp_path: Path, make: object) -> None:
    root = make(tmp_path / "root")  # type: ignore[operator]
    name = open_test_set(root).dataset
    for image in sorted(root.rglob("*"), reverse=True):
        if image.is_file() and image.suffix != ".txt":
            image.unlink()
    for text in root.glob("list_*.txt"):
        text.write_text("")
    with pytest.raises(DataError, match=r"no image|the file is empty|not the root"):
        open_test_set(root, name)


@pytest.mark.parametrize("make", [market, viper, prid, cuhk01, caviar])
def test_a_foreign_name_is_named(tmp_path: Path, make: object) -> None:
    root = make(tmp_path / "root")  # type: ignore[operator]
    name = open_test_set(root).dataset
    folder = next(image.parent for image in sorted(root.rglob("*")) if image.is_file())
    (folder / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="do not contain identity") as caught:
        open_test_set(root, name)
    assert caught.value.details == ["holiday.jpg"]
