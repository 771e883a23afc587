"""What a change may bring to a board's folder: plain files under exactly the names that `render` and `submit` make."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sysu30k_bench.board.checks.board_files import Entry, entries_of, has_modes
from sysu30k_bench.board.checks.change import check_change
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.render import Board, generated_names, render, write_board
from sysu30k_bench.board.rows import parse_row, row_bytes
from sysu30k_bench.errors import DataError
from tests.board.made import add_row, ranks_of

LEADERBOARD = Path(__file__).parents[2] / "leaderboard"
SAID = "a submission adds a row, its evidence and what `leaderboard render` makes of them"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board before a change, with a template, and the same with a new row. Read only."""
    parent = tmp_path_factory.mktemp("boards")
    folder = parent / "base"
    shutil.copytree(LEADERBOARD / "rows", folder / "rows")
    write_board(folder)
    (folder / "template").mkdir()
    (folder / "template" / "board.js").write_text("let x;")
    folder = Path(shutil.copytree(folder, parent / "board"))
    row = parse_row((folder / "rows" / "dgl.json").read_bytes())
    changes = {"id": "new-method", "method": "New Method", "rank1": 0.3, "source": "https://example.org/new"}
    (folder / "rows" / "new-method.json").write_bytes(row_bytes(row.model_copy(update=changes)))
    write_board(folder)
    return parent


@pytest.fixture
def base(boards: Path, tmp_path: Path) -> Path:
    """A board before a change."""
    return Path(shutil.copytree(boards / "base", tmp_path / "base"))


@pytest.fixture
def board(boards: Path, tmp_path: Path) -> Path:
    """The same with a new row: nothing is wrong with it."""
    return Path(shutil.copytree(boards / "board", tmp_path / "board"))


def test_render_makes_the_names_that_a_change_may_bring_and_no_other(board: Path) -> None:
    found = Board.open(board)
    assert render(found).keys() == generated_names(row.id for row in found.rows)
    assert "model-index/new-method.yml" in render(found)


def test_a_submission_with_its_evidence_may_come(base: Path, board: Path) -> None:
    assert check_change(board, base) == []
    add_row(board, "backed", ranks_of(310, 1), "Backed")
    assert "README.md: not what the rows give; run `leaderboard render`" in check_change(board, base)
    write_board(board)
    assert check_change(board, base) == []
    (board / "README.md").write_text("DGL 99.9")
    assert check_change(board, base) == ["README.md: not what the rows give; run `leaderboard render`"]


STRANGE = [
    "leaderboard.py", "leaderboard.d/evil.py", "leaderboard.html", "leaderboard", "leaderboard.csv.sh",
    "leaderboard.x/leaderboard.csv",
    "model-index/x/.github/workflows/a.yml", "model-index/x.yml", "model-index/iics.yaml", "model-index/.yml",
    "model-index/IICS.yml", "README.md.py", "readme.md", "README.md ", "row.schema.json.bak", ".gitattributes",
    ".github/workflows/a.yml", "rows/deep/x.json", "evidence/deep/x.csv", "confirmations/deep/x.json",
    "template/new.js", "conftest.py", "__init__.py", "__pycache__/__init__.cpython-311.pyc", "site/index.html",
    "a\n::error::b",
]  # fmt: skip


def test_files_of_other_names_are_each_named(base: Path, board: Path) -> None:
    for name in STRANGE:
        (board / name).parent.mkdir(parents=True, exist_ok=True)
        (board / name).write_text("import os")
    (board / "template" / "board.js").write_text("fetch('https://example.org')")
    (board / "module").mkdir()  # what a submodule leaves in a checkout that does not fetch it
    (board / "elsewhere").symlink_to("/etc")
    os.mkfifo(board / "pipe")
    said = check_change(board, base)
    for name in [*STRANGE[:-1], "template/board.js", "module/", "elsewhere", "pipe", "a\\n::error::b"]:
        assert f"{name}: {SAID}" in said
    assert all(fault.isprintable() for fault in said)
    assert not [fault for fault in said if fault.startswith(("README.md:", "model-index/iics.yml:", "rows/iics"))]


def test_a_file_that_is_taken_away_is_named(base: Path, board: Path) -> None:
    (board / "template" / "board.js").unlink()
    assert check_change(board, base) == [f"template/: {SAID}", f"template/board.js: {SAID}"]


def test_a_maintainer_may_change_the_rest(base: Path, board: Path) -> None:
    (board / "template" / "board.js").write_text("let y;")
    (board / "module").mkdir()
    (board / "leaderboard.py").write_text("import os")
    assert check_change(board, base, by_maintainer=True) == []


@pytest.mark.parametrize("maintainer", [False, True])
@pytest.mark.parametrize("name", ["README.md", "leaderboard.csv", "model-index/iics.yml", "rows/iics.json"])
def test_links_to_the_very_same_content_are_no_plain_files(
    base: Path, board: Path, name: str, maintainer: bool
) -> None:
    path = board / name
    path.rename(board.parent / "kept")
    path.symlink_to(board.parent / "kept")
    said = check_change(board, base, by_maintainer=maintainer)
    assert f"{name}: a link, not a plain file" in said


def test_a_pipe_in_place_of_a_table_is_not_read(base: Path, board: Path) -> None:
    (board / "leaderboard.csv").unlink()
    os.mkfifo(board / "leaderboard.csv")
    assert "leaderboard.csv: a device, not a plain file" in check_change(board, base)


@pytest.mark.parametrize("maintainer", [False, True])
@pytest.mark.parametrize("mode", [0o755, 0o645, 0o654, 0o4644, 0o2644])
def test_programs_are_no_plain_files(base: Path, board: Path, mode: int, maintainer: bool) -> None:
    names = ["README.md", "model-index/new-method.yml", "rows/iics.json", "rows/new-method.json"]
    for name in names:
        (board / name).chmod(mode)
    said = "an executable file; those of a board have the plain mode 644"
    assert check_change(board, base, by_maintainer=maintainer) == [f"{name}: {said}" for name in names]


def test_a_template_that_becomes_a_program_is_a_change(base: Path, board: Path) -> None:
    (board / "template" / "board.js").chmod(0o755)
    assert check_change(board, base) == [f"template/board.js: {SAID}"]


def test_file_systems_without_modes_are_told(base: Path, board: Path) -> None:
    for folder in (base, board):
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(0o777)
    assert not has_modes(entries_of(base))
    assert check_change(board, base) == []
    assert has_modes({"a": Entry("file", runs=True), "b": Entry("file")})


def test_links_in_place_of_folders_are_refused(base: Path, board: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(base)
    for change in (link, base, base / "rows"):
        with pytest.raises(DataError, match="is a link, or is inside its own --base"):
            check_change(change, base)
    for name in ("evidence", "confirmations", "model-index", "rows"):
        shutil.rmtree(board / name, ignore_errors=True)
        (board / name).symlink_to(base / ("rows" if name == "rows" else "model-index"))
        assert f"{name}: a link, not a folder" in check_board(board)
