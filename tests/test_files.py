from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from sysu30k_bench.errors import SHOWN_DETAILS, BenchError, CheckFailedError, DataError, IntegrityError, UsageError
from sysu30k_bench.files import (
    _HOST,
    is_empty,
    remove_partials,
    remove_quietly,
    sha256_of_file,
    sha256_of_text,
    unwritable,
    write_atomically,
    writing_atomically,
)
from sysu30k_bench.processes import Ranks


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new content")
    assert path.read_bytes() == b"new content"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def fail(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError) as caught:
        write_atomically(path, b"new")
    assert ("disk is full" in str(caught.value)) == (number in {errno.ENOSPC, errno.EDQUOT})
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_an_interrupt_leaves_no_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.bin", b"new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_refuses_to_be_flushed_is_no_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "file.bin", b"new")
    assert (tmp_path / "file.bin").read_bytes() == b"new"


def test_what_is_written_piece_by_piece_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.bin"
    with writing_atomically(path) as unfinished:
        unfinished.write_bytes(b"first")
        assert not path.exists()

    def fails() -> None:
        with writing_atomically(path) as unfinished:
            unfinished.write_bytes(b"second")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fails()
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"cannot write .*file\.bin"):
        write_atomically(path, b"third")
    remove_quietly(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_only_partials_are_removed(tmp_path: Path) -> None:
    for name in (".a.bin.7.partial", "a.partial", ".hidden", "a.bin"):
        (tmp_path / name).write_bytes(b"x")
    remove_partials(tmp_path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.partial", ".hidden", "a.bin"}


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    """kill -9 leaves a partial where no command tidies up: in `rows/` of a board, beside a page of `--html`."""
    path = tmp_path / "a[1].json"
    child = os.fork()
    if child == 0:
        with writing_atomically(path) as unfinished:
            unfinished.write_bytes(b"half")
            os._exit(9)
    os.waitpid(child, 0)
    [abandoned] = tmp_path.iterdir()
    assert is_empty(tmp_path)
    with writing_atomically(path) as mine:  # its process runs: not abandoned
        mine.write_bytes(b"first")
        write_atomically(tmp_path / "other", b"x")
        assert mine.exists()
        assert not abandoned.exists()
        other_machine = tmp_path / mine.name.replace(_HOST, "00000000")
        other_machine.write_bytes(b"another machine's")
    write_atomically(path, b"whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name, "other", other_machine.name}
    assert path.read_bytes() == b"whole"
    assert not is_empty(tmp_path)


def test_digests(tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "f").write_bytes(content)
    assert sha256_of_file(tmp_path / "f") == hashlib.sha256(content).hexdigest()
    assert sha256_of_text("é") == hashlib.sha256("é".encode()).hexdigest()


def test_messages_hold_what_where_and_what_to_do() -> None:
    error = BenchError(
        "something is wrong in x", hint="mend x", details=[f"name-{n}" for n in range(SHOWN_DETAILS + 5)]
    )
    lines = str(error).splitlines()
    assert lines[0] == "something is wrong in x"
    assert lines[1] == "  name-0"
    assert "  ... and 5 more" in lines
    assert lines[-1] == "What to do: mend x"
    assert str(BenchError("alone")) == "alone"
    assert "3 bytes" in str(unwritable(Path("f"), OSError(errno.ENOSPC, "full"), 3))


def test_exit_codes_are_the_documented_ones() -> None:
    assert [kind.exit_code for kind in (CheckFailedError, UsageError, DataError, IntegrityError)] == [1, 2, 3, 4]


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    ranks = Ranks.from_environment()
    assert (ranks.rank, ranks.world, ranks.first) == (0, 1, True)
    assert ranks.gather("x") == ["x"]
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Ranks.from_environment().world == 1
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(UsageError, match="torchrun"):
        Ranks.from_environment()


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="device or a pipe"):
        write_atomically(tmp_path / "pipe", b"x")
    assert not (tmp_path / "pipe").is_file()
