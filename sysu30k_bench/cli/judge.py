"""What can be judged in the blink of an eye is judged before torch is imported, which takes seconds.

Everything here is judged again, and in full, by the code that does the work; this is for a person who mistyped.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sysu30k_bench.cli.network_names import judge_network
from sysu30k_bench.errors import DataError, IntegrityError, UsageError

_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_WEIGHTS = frozenset({".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".pkl", ".pyth"})
_LOOKED_AT = 200
_DEPTH = 5
_GPU_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
_ORDER = "the weights come first, and the images go with --data: sysu30k-bench eval CHECKPOINT --data ROOT"


def judge(options: Mapping[str, Any]) -> None:
    """Judges the options of `eval` and its like; those that a command does not have are passed over.

    Args:
        options: As parsed, by name.

    Raises:
        BenchError: Something of them is wrong.
    """
    if options.get("adapter") is not None and options.get("model") is not None:
        raise UsageError("--adapter and --model exclude each other", hint="a card names its network itself")
    if options.get("checkpoint") is not None:
        judge_checkpoint(options["checkpoint"])
    if options.get("data") is not None:
        judge_data(options["data"])
    if options.get("output") is not None:
        judge_output(options["output"])
    if options.get("device") is not None:
        judge_device(options["device"])
    if options.get("adapter") is not None:
        from sysu30k_bench.models.cards import find_card

        find_card(options["adapter"])
    if options.get("model") is not None:
        judge_network(options["model"])


def judge_checkpoint(path: Path) -> None:
    """Judges the path of a weights file, a whole model or a features file, without reading it.

    Raises:
        DataError: It does not exist, may not be read, or is a folder of images.
        IntegrityError: It is empty.
    """
    _require(path, "file", "give the path of a weights file")
    if path.is_dir():
        if not (path / "config.json").is_file() and _holds_images(path):
            raise DataError(f"{path} is a folder of images, not a checkpoint", hint=_ORDER)
        return
    if not os.access(path, os.R_OK):
        raise DataError(f"cannot read {path}: Permission denied", hint="check its permissions")
    if path.is_file() and path.stat().st_size == 0:
        raise IntegrityError(f"{path} is empty", hint="download or save it again")


def judge_several(paths: Sequence[Path], *, dry_run: bool) -> None:
    """Judges the paths of several checkpoints; what is wrong inside one file is its own matter, and stops no other.

    Args:
        paths: As typed.
        dry_run: Whether an estimate was asked for.

    Raises:
        UsageError: One is named twice, or an estimate was asked for.
        DataError: One does not exist, or is a folder of images.
    """
    if dry_run:
        raise UsageError("--dry-run estimates one checkpoint", hint="name one")
    twice = [path for place, path in enumerate(paths) if path in paths[:place]]
    if twice:
        raise UsageError(f"{twice[0]} is named twice", hint="name each checkpoint once")
    for path in paths:
        try:
            judge_checkpoint(path)
        except IntegrityError:
            continue


def judge_data(root: Path) -> None:
    """Judges the path of a data set.

    Raises:
        DataError: It does not exist.
        UsageError: It is a file of weights.
    """
    _require(root, "folder or archive", "point --data at the folder above query/ and gallery/, or at the archive")
    if root.is_file() and _WEIGHTS & {suffix.lower() for suffix in root.suffixes[-2:]}:
        raise UsageError(f"{root} is a file of weights, not a data set", hint=_ORDER)


def judge_output(folder: Path) -> None:
    """Judges a run folder that is to be made, or to be resumed.

    Raises:
        DataError: It cannot be written.
    """
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    hint = "choose an --output that is a folder, or does not exist yet"
    if not there.is_dir():
        which = "it" if there == folder.absolute() else there
        raise DataError(f"cannot write {folder}: {which} is a file, but a run needs a folder", hint=hint)
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(
            f"cannot write {folder}: Permission denied in {there}", hint="choose an --output that this user may write"
        )


def judge_device(name: str) -> None:
    """Judges a device's name, and whether this machine can have a GPU at all.

    Raises:
        UsageError: No device has such a name.
        DataError: There is no driver of a GPU.
    """
    if re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", name) is None:
        raise UsageError(f"--device {name} is not auto, cpu, cuda or cuda:N")
    if name.startswith("cuda") and not _may_have_gpu():
        number = name.partition(":")[2] or "0"
        raise DataError(f"there is no device cuda:{number}: this machine has no GPU driver", hint="use --device cpu")


def judge_run(path: Path, made_by: str = "eval", *, folder: bool = False) -> None:
    """Judges the path of a run folder, or of a ranking.

    Args:
        path: As typed.
        made_by: The command that makes it.
        folder: Whether a ranking will not do.

    Raises:
        DataError: It does not exist, or is something else.
    """
    what, hint = "run folder" if folder else "run folder or ranking", f"make it with `sysu30k-bench {made_by}`"
    _require(path, what, hint)
    if folder and not path.is_dir():
        raise DataError(f"{path} is a file, not a run folder", hint=hint)


def _require(path: Path, what: str, hint: str) -> None:
    try:
        if path.exists():
            return
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    if path.is_symlink():
        raise DataError(f"{path} is a link to {path.readlink()}, which does not exist", hint=hint)
    close = _close_names(path)
    raise DataError(f"there is no {what} {path}", hint=f"did you mean {' or '.join(close)}?" if close else hint)


def _close_names(path: Path) -> list[str]:
    try:
        with os.scandir(path.parent) as entries:
            beside = {entry.name: None for entry, _ in zip(entries, range(_LOOKED_AT), strict=False)}
    except OSError:
        return []
    alike = {name.casefold(): name for name in sorted(beside) if name[0] != "."}
    close = difflib.get_close_matches(path.name.casefold(), alike, n=2, cutoff=0.7)
    return [str(path.parent / alike[name]) for name in close]


def _holds_images(folder: Path, depth: int = _DEPTH) -> bool:
    try:
        with os.scandir(folder) as entries:
            some = [entry for entry, _ in zip(entries, range(_LOOKED_AT), strict=False)]
    except OSError:
        return False
    if any(os.path.splitext(entry.name)[1].lower() in _IMAGES for entry in some):  # noqa: PTH122  of many entries
        return True
    inside = [Path(entry.path) for entry in some if entry.is_dir() and entry.name[0] != "."]
    return depth > 1 and any(_holds_images(below, depth - 1) for below in sorted(inside)[:3])


def _may_have_gpu() -> bool:
    """Returns whether a driver exists: NVIDIA's library, or the device file of AMD's."""
    import ctypes

    if Path("/dev/kfd").exists():
        return True
    for name in _GPU_DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
