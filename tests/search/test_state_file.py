"""State of an interrupted search: taken only where it can be what the same work left, whoever wrote it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.sealed import seal_zip
from sysu30k_bench.search.exact.saved_search import Kept
from sysu30k_bench.search.exact.topk import TopK
from sysu30k_bench.search.graph.graph_file import read_state

ROWS, PARTS = 50, 4
Change = Callable[[dict[str, np.ndarray]], object]
FORGED: dict[str, Change] = {
    "a position beyond the rows": lambda arrays: arrays["position-0"].fill(10**9),
    "a position below -1": lambda arrays: arrays["position-0"].fill(-7),
    "more parts than there are": lambda arrays: arrays.update(done=np.array(2**62)),
    "fewer parts than none": lambda arrays: arrays.update(done=np.array(-5)),
    "several numbers of parts": lambda arrays: arrays.update(done=np.arange(3)),
    "half a part": lambda arrays: arrays.update(done=np.array(1.5)),
    "a score of NaN": lambda arrays: arrays["score-0"].fill(np.nan),
    "an infinite score": lambda arrays: arrays["score-0"].fill(np.inf),
    "a score of nobody": lambda arrays: arrays["position-0"].fill(-1),
    "another width": lambda arrays: arrays.update({"position-0": np.zeros((ROWS, 9), np.int64)}),
    "another type": lambda arrays: arrays.update({"position-0": np.zeros((ROWS, 3), np.int32)}),
    "no scores": lambda arrays: arrays.pop("score-0"),
}


def write(path: Path, arrays: dict[str, np.ndarray], save: Callable[..., None] = np.savez) -> Path:
    content = io.BytesIO()
    save(content, **arrays)
    path.write_bytes(seal_zip(content))
    return path


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    position = np.tile(np.arange(3), (ROWS, 1))
    return {"done": np.array(2), "position-0": position, "score-0": np.full((ROWS, 3), 0.5)}


def test_a_state_of_the_same_work_is_taken(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    top = TopK(ROWS, 3)
    assert read_state(write(tmp_path / "s.npz", arrays), PARTS, top) == 2
    assert np.array_equal(top.position, arrays["position-0"])


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_state_with_a_right_digest_is_no_state(
    tmp_path: Path, arrays: dict[str, np.ndarray], name: str
) -> None:
    FORGED[name](arrays)
    top = TopK(ROWS, 3)
    assert read_state(write(tmp_path / "s.npz", arrays), PARTS, top) is None
    assert (top.position == -1).all()


def test_a_compressed_state_is_not_inflated(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    assert read_state(write(tmp_path / "s.npz", arrays, np.savez_compressed), PARTS, TopK(ROWS, 3)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("done", np.array(51)),
        ("done", np.array([7])),
        ("above", np.array([-1, 0])),
        ("tied", np.array([0, 51])),
        ("above", np.array([0])),
        ("position", np.full((2, 3), 50)),
        ("score", np.full((2, 3), np.nan)),
    ],
)
def test_a_search_does_not_resume_from_what_it_cannot_have_left(tmp_path: Path, name: str, value: np.ndarray) -> None:
    whole = {
        "done": np.array(7), "above": np.array([1, 2]), "tied": np.array([0, 1]),
        "position": np.tile(np.arange(3), (2, 1)), "score": np.full((2, 3), 0.5),
    }  # fmt: skip

    def resume(arrays: dict[str, np.ndarray]) -> int:
        above, tied = np.zeros(2, np.int64), np.zeros(2, np.int64)
        return Kept(write(tmp_path / "s.npz", arrays), 1.0).resume(above, tied, TopK(2, 3), 50)

    assert resume(whole) == 7
    assert resume(whole | {name: value}) == 0
