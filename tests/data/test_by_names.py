"""Which benchmark a folder holds, the names of its images say: several share their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sysu30k_bench.data.naming.recognise import namings_of
from sysu30k_bench.data.open_dataset import find_benchmark, open_test_set
from sysu30k_bench.errors import DataError, UsageError
from tests.conftest import Outcome
from tests.data.test_benchmarks import MARKET, prid, viper, write
from tests.data.trees.archives import tar_of, zip_of

LAYUMI = {
    "market1501": ("query/0001/0001_c1s1_001051_00.jpg", "gallery/0001/0001_c2s1_000301_01.jpg",
                   "gallery/0000/0000_c1s1_000151_01.jpg", "gallery/-1/-1_c1s1_000401_03.jpg",
                   "train_all/0007/0007_c3s3_077419_03.jpg"),
    "dukemtmc": ("query/0005/0005_c2_f0046985.jpg", "gallery/0005/0005_c5_f0051341.jpg",
                 "gallery/0002/0002_c1_f0044158.jpg", "train_all/0001/0001_c2_f0046182.jpg"),
}  # fmt: skip
NP = ("query/0003_c1_21.png", "bounding_box_test/0003_c2_22.png", "bounding_box_train/0001_c1_1.png")
STRANGERS = ("0002_c002_00030600_0.jpg", "0001_c14_0030.jpg", "0000_000_01_0303morning_0008_0.jpg", "1_c1_1.jpg",
             "person7.jpg")  # fmt: skip


@pytest.mark.parametrize("name", LAYUMI)
@pytest.mark.parametrize("inside", ["", "pytorch"])
@pytest.mark.parametrize("pack", [None, tar_of, zip_of])
def test_layumis_folders_are_the_benchmark_whose_names_they_hold(
    tmp_path: Path, name: str, inside: str, pack: Callable[[Path, Path], Path] | None
) -> None:
    root = tmp_path / "root"
    write(root / inside, *LAYUMI[name])
    test_set = open_test_set(root if pack is None else pack(root, tmp_path / f"a.{pack.__name__[:3]}"))
    assert test_set.dataset == name
    assert test_set.query.keys == [LAYUMI[name][0]]
    assert len(test_set.gallery) == (3 if name == "market1501" else 2)
    assert any("layumi" in warning for warning in test_set.warnings)
    benchmark, place = find_benchmark(root, None)
    assert len(benchmark.read(place, "train", 1)) == 1


def test_layumis_copy_holds_the_images_of_the_original_with_equal_labels(tmp_path: Path) -> None:
    write(tmp_path / "Market", *MARKET)
    for name in MARKET[:-1]:
        folder, file = name.split("/")
        copied = folder.replace("bounding_box_test", "gallery")
        write(tmp_path / "copy/pytorch", f"{copied}/{file.split('_')[0]}/{file}")
    original, copy = open_test_set(tmp_path / "Market"), open_test_set(tmp_path / "copy")
    assert copy.gallery.person_ids.tolist() == original.gallery.person_ids.tolist()
    assert copy.gallery.camera_ids.tolist() == original.gallery.camera_ids.tolist()
    assert copy.not_official == original.not_official


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("gallery", ["gallery", "bounding_box_test"])
def test_names_of_no_benchmark_are_no_benchmark(tmp_path: Path, stranger: str, gallery: str) -> None:
    write(tmp_path, f"query/1/{stranger}", f"{gallery}/1/{stranger}")
    with pytest.raises(DataError, match="not the root of a known test set") as caught:
        open_test_set(tmp_path)
    assert f"with images such as {stranger}" in caught.value.message


@pytest.mark.parametrize("name", LAYUMI)
def test_they_are_never_sysu30k_even_where_that_is_asked_for(tmp_path: Path, name: str) -> None:
    write(tmp_path, *LAYUMI[name])
    with pytest.raises(DataError, match="not the root") as caught:
        open_test_set(tmp_path, "sysu30k")
    assert f"looks like {name}" in str(caught.value.hint)


def test_other_names_read_as_sysu30k_by_name_are_never_official(tmp_path: Path) -> None:
    write(tmp_path, "query/7/7_c2_1.jpg", "gallery/7/7_c1_1.jpg", "gallery/7/7_c1_2.jpg")
    reasons = open_test_set(tmp_path, "sysu30k").not_official
    assert "1 query image is not named as SYSU-30k's (such as 000028311_c1_1.jpg)" in reasons
    assert "2 gallery images are not named as SYSU-30k's (such as 000028311_c1_1.jpg)" in reasons


@pytest.mark.parametrize(
    ("folder", "boxes"),
    [
        ("cuhk03_np_detected", "detected"),
        ("cuhk03-np-labeled", "labeled"),
        ("CUHK03_Labelled", "labeled"),
        ("detected", "detected"),
        ("detected/pytorch", "detected"),
        ("detected/cuhk03-np", "detected"),
    ],
)
def test_flat_cuhk03_folders_are_told_by_their_name(tmp_path: Path, folder: str, boxes: str) -> None:
    root = write(tmp_path / "data/x/y" / folder, *NP)
    test_set = open_test_set(root)
    assert test_set.dataset == f"cuhk03-{boxes}"
    assert test_set.query.keys == [NP[0]]
    assert open_test_set(zip_of(root.parent, tmp_path / "a.zip", f"{root.parent.name}/")).dataset == f"cuhk03-{boxes}"
    other = "cuhk03-labeled" if boxes == "detected" else "cuhk03-detected"
    assert any(f"boxes are {boxes}" in reason for reason in open_test_set(root, other).not_official)


def test_flat_cuhk03_folders_of_no_name_are_a_question(tmp_path: Path) -> None:
    root = write(tmp_path / "data/x/y/cuhk03-np", *NP)
    with pytest.raises(UsageError, match="cuhk03-labeled, cuhk03-detected"):
        open_test_set(root)
    assert open_test_set(root, "cuhk03-labeled").dataset == "cuhk03-labeled"


@pytest.mark.parametrize(("gallery", "boxes"), [(5328, "labeled"), (5332, "detected")])
def test_flat_cuhk03_folders_of_no_name_are_told_by_the_published_counts(
    tmp_path: Path, gallery: int, boxes: str
) -> None:
    root = tmp_path / "data/x/y/cuhk03-np"
    for folder, camera, count in (("query", 1, 1400), ("bounding_box_test", 2, gallery)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / f"{number % 700:04d}_c{camera}_{number}.png").touch()
    assert open_test_set(root).dataset == f"cuhk03-{boxes}"


def test_cuhk03_sorted_by_layumi_is_not_sysu30k(tmp_path: Path) -> None:
    root = write(tmp_path / "x/cuhk03-detected/pytorch", "query/0003/0003_c1_21.png", "gallery/0003/0003_c2_22.png")
    assert open_test_set(root).dataset == "cuhk03-detected"


@pytest.mark.parametrize("above", ["Market", "data/Market", "a/b/Market-1501"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_folder_of_an_archive_is_looked_into(
    tmp_path: Path, above: str, pack: Callable[[Path, Path, str], Path]
) -> None:
    plain = write(tmp_path / "root", *MARKET)
    archive = pack(plain, tmp_path / f"packed.{pack.__name__[:3]}", f"{above}/")
    for place in (archive, tmp_path):
        found = open_test_set(place)
        assert found.dataset == "market1501"
        assert found.gallery.fingerprint == open_test_set(plain).gallery.fingerprint
    assert open_test_set(archive, "market1501").dataset == "market1501"


def test_two_benchmarks_in_an_archive_are_a_question(tmp_path: Path) -> None:
    write(tmp_path / "r/Market", *MARKET)
    viper(tmp_path / "r/Other")
    archive = tar_of(tmp_path / "r", tmp_path / "both.tar")
    with pytest.raises(UsageError, match="market1501, viper") as caught:
        open_test_set(archive)
    assert caught.value.details == ["market1501 in Market/", "viper in Other/"]
    assert open_test_set(archive, "viper").dataset == "viper"


def test_folders_of_cameras_are_told_by_names(tmp_path: Path) -> None:
    root = prid(tmp_path / "prid_2011")
    with pytest.raises(DataError) as caught:  # VIPeR's folders, and PRID's names
        open_test_set(root / "single_shot")
    assert "looks like prid2011" in str(caught.value.hint)
    with pytest.raises(DataError, match="not the root"):
        open_test_set(write(tmp_path / "c", "CAVIAR4REID/holiday.jpg"))


def test_a_few_strays_make_no_benchmark() -> None:
    sysu = [f"q/{number:09d}_c1_1.jpg" for number in range(40)]
    assert namings_of(sysu) == {"sysu30k"}
    assert namings_of([*sysu, "q/0001_c1s1_000151_01.jpg"]) == {"sysu30k"}
    assert namings_of([*sysu[:3], "q/0001_c1s1_000151_01.jpg"]) == {"sysu30k", "market1501"}
    assert namings_of(["0001_c1_1.png", "0001_c2_2.png"]) == {"cuhk03"}
    assert namings_of(["0001_c1_1.png", "0001_c3_2.png"]) == frozenset()
    assert namings_of([]) == frozenset()


def test_the_command_line_names_what_lies_there(bench: Callable[..., Outcome], tmp_path: Path) -> None:
    write(tmp_path / "layumi/pytorch", *LAYUMI["market1501"])
    found = bench("data", "lists", tmp_path / "layumi/pytorch", "--json")
    assert found.json["dataset"] == "market1501"
    refused = bench(
        "data", "lists", write(tmp_path / "veri", "query/1/0002_c002_1_0.jpg", "gallery/1/0002_c003_2_0.jpg")
    )
    assert refused.code == 3
    assert "0002_c002_1_0.jpg" in refused.err
