"""CUHK03's MATLAB files, damaged and hostile."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from sysu30k_bench.data.benchmarks.cuhk03_mat import Cuhk03Mat
from sysu30k_bench.data.images import DamagedImageError
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.errors import DataError, IntegrityError
from tests.data.test_benchmarks import cuhk03_mat
from tests.data.trees.archives import zip_of


def test_broken_cuhk03_files(tmp_path: Path) -> None:
    cuhk03_mat(tmp_path)
    config = tmp_path / "cuhk03_new_protocol_config_labeled.mat"
    for content in (b"", b"hello" * 100):
        config.write_bytes(content)
        with pytest.raises((IntegrityError, DataError), match="config_labeled"):
            open_test_set(tmp_path, "cuhk03-labeled")
    savemat(config, {"filelist": np.zeros(3)})
    with pytest.raises(IntegrityError, match="not a configuration"):
        open_test_set(tmp_path, "cuhk03-labeled")
    archive = zip_of(tmp_path, tmp_path.parent / "cuhk03_release.zip")
    with pytest.raises(DataError, match="inside an archive"):
        open_test_set(archive, "cuhk03-labeled-classic")
    (tmp_path / "cuhk-03.mat").write_bytes(b"x" * 2000)
    with pytest.raises(IntegrityError, match="not an HDF5 file"):
        open_test_set(tmp_path, "cuhk03-labeled-classic")


def test_a_mat_file_that_points_at_other_files_is_refused(tmp_path: Path) -> None:
    cuhk03_mat(tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 72)
    with h5py.File(tmp_path / "cuhk-03.mat", "r+") as file:
        space = h5py.h5s.create_simple((3, 4, 6))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_external(str(secret).encode(), 0, 72)
        h5py.h5d.create(file["#refs#"].id, b"spy", h5py.h5t.NATIVE_UINT8, space, plist)
        first = file[file["labeled"][0, 0]]
        cells = first[()]
        cells[0, 0] = file["#refs#/spy"].ref
        first[...] = cells
    with pytest.raises(DamagedImageError, match="no such image"):
        open_test_set(tmp_path, "cuhk03-labeled").images.read("1_001_1_01.png")


def test_a_mat_file_of_other_types_is_named(tmp_path: Path) -> None:
    cuhk03_mat(tmp_path)
    with h5py.File(tmp_path / "cuhk-03.mat", "r+") as file:
        del file["labeled"]
        file["labeled"] = np.zeros((1, 5))
    with pytest.raises(IntegrityError, match="not as it was published"):
        open_test_set(tmp_path, "cuhk03-labeled-classic")


@pytest.mark.parametrize("what", ["labeled", "testsets"])
def test_a_cuhk03_file_that_claims_terabytes_is_refused(tmp_path: Path, what: str) -> None:
    cuhk03_mat(tmp_path)
    with h5py.File(tmp_path / "cuhk-03.mat", "r+") as file:
        del file[what]
        file.create_dataset(what, (1 << 24, 1 << 24), "u1", chunks=(1, 1 << 10), compression="gzip")
    source = Cuhk03Mat(tmp_path / "cuhk-03.mat", "labeled")
    with pytest.raises(IntegrityError, match="claims 281,474,976,710,656 bytes"):
        source.test_people(1) if what == "testsets" else source.listing()


def test_a_cuhk03_list_that_inflates_a_thousandfold_is_refused(tmp_path: Path) -> None:
    cuhk03_mat(tmp_path)
    path = tmp_path / "cuhk03_new_protocol_config_labeled.mat"
    savemat(path, {"filelist": np.zeros(10 << 20)}, do_compression=True)
    with pytest.raises(IntegrityError, match="inflates to more than 67,108,864 bytes"):
        open_test_set(tmp_path, "cuhk03-labeled")


def test_every_broken_byte_of_a_cuhk03_file_is_named(tmp_path: Path) -> None:
    """h5py raises another type for each structure that is damaged."""
    cuhk03_mat(tmp_path)
    path = tmp_path / "cuhk-03.mat"
    content = path.read_bytes()
    faults = 0
    for place in range(0, min(len(content), 6000), 61):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            source = Cuhk03Mat(path, "labeled")
            source.listing()
            source.test_people(1)
        except IntegrityError:
            faults += 1
    assert faults > 5
