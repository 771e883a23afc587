"""`.mat` files of layumi's scripts: labels from 0 as from 1, and every version that MATLAB writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from sysu30k_bench.embeddings.features.reader import LabelledFeatures, read_features
from sysu30k_bench.errors import IntegrityError
from tests.conftest import Outcome, unit_rows

Bench = Callable[..., Outcome]


def content(first: int = 1, people: int = 4) -> dict[str, np.ndarray]:
    rows = unit_rows(np.random.default_rng(0), people, 8)
    labels = np.arange(first, first + people)
    query: dict[str, np.ndarray] = {"query_f": rows, "query_label": labels, "query_cam": np.ones(people)}
    return query | {"gallery_f": rows + 0.01, "gallery_label": labels, "gallery_cam": np.full(people, 2)}


def matlab73(path: Path, values: dict[str, np.ndarray]) -> Path:
    """As MATLAB writes it: a header of 512 bytes, and every array with its columns as rows."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            file[name] = np.atleast_2d(value).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
    return path


@pytest.mark.parametrize("first", [0, 1, 7])
def test_labels_may_begin_anywhere(bench: Bench, tmp_path: Path, first: int) -> None:
    savemat(tmp_path / "f.mat", content(first))
    outcome = bench("eval", tmp_path / "f.mat", "--output", tmp_path / "run", "--engine", "torch", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["metrics"]["rank1"]["value"] == 1
    assert outcome.json["counts"]["matches"] == 4


def test_junk_and_distractors_of_market1501_are_what_they_were(bench: Bench, tmp_path: Path) -> None:
    values = content()
    for label in (0, 0, -1):  # each lies nearer to every query than its match
        values["gallery_f"] = np.vstack([values["gallery_f"], values["query_f"].sum(0, keepdims=True)])
        values["gallery_label"] = np.append(values["gallery_label"], label)
        values["gallery_cam"] = np.append(values["gallery_cam"], 3)
    savemat(tmp_path / "f.mat", values)
    outcome = bench("eval", tmp_path / "f.mat", "--output", tmp_path / "run", "--engine", "torch", "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["counts"]["matches"], outcome.json["counts"]["gallery"]) == (4, 7)
    lines = (tmp_path / "run/ranking.csv").read_text().splitlines()
    ranked = lines[0].split(",").index("ranked")
    assert {line.split(",")[ranked] for line in lines[1:]} == {"6"}  # the junk image is in no ranking


def test_version_7_3_is_the_same_file(tmp_path: Path) -> None:
    savemat(tmp_path / "old.mat", content(0))
    old = read_features(tmp_path / "old.mat")
    new = read_features(matlab73(tmp_path / "new.mat", content(0)))
    with h5py.File(tmp_path / "plain.mat", "w") as file:  # HDF5 that MATLAB did not write: rows are rows
        file.update(content(0))
    plain = read_features(tmp_path / "plain.mat")
    for found in (new, plain):
        assert isinstance(old, LabelledFeatures)
        assert isinstance(found, LabelledFeatures)
        for role in ("query", "gallery"):
            assert np.array_equal(found.embedding[role], old.embedding[role])
            assert np.array_equal(found.labels[role].person_id, old.labels[role].person_id)
            assert np.array_equal(found.labels[role].camera_id, old.labels[role].camera_id)


@pytest.mark.parametrize("version", [5, 7.3])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"query_label": None}, "lacks query_label; it has"),
        ({"query_label": np.array([0, 1, 2, 2.5])}, "not whole"),
        ({"query_label": np.array([0, 1, 2, np.nan])}, "not whole"),
        ({"query_cam": np.ones(3)}, "different lengths"),
        ({"gallery_f": np.ones((4, 8), complex)}, "numbers"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, version: float, change: dict[str, np.ndarray | None], said: str) -> None:
    values = {name: value for name, value in {**content(), **change}.items() if value is not None}
    path = tmp_path / "f.mat"
    if version == 5:
        savemat(path, values)
    else:
        matlab73(path, values)
    with pytest.raises(IntegrityError, match=said):
        read_features(path)


def test_hdf5_that_points_elsewhere_or_claims_too_much(tmp_path: Path) -> None:
    path = matlab73(tmp_path / "f.mat", content())
    with h5py.File(path, "r+") as file:
        del file["query_f"]
        file["query_f"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(IntegrityError, match="link"):
        read_features(path)
    with h5py.File(path, "r+") as file:
        del file["query_f"]
        file.create_dataset("query_f", (8, 1 << 36), "f4")
    with pytest.raises(IntegrityError, match="claims"):
        read_features(path)
