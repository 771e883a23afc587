"""Pickles that are no torch file of their own: dicts of numpy arrays, or of tensors that `pickle.dump` wrote."""

from __future__ import annotations

import io

from sysu30k_bench.models.formats.faults import NotPlain
from sysu30k_bench.models.formats.mapped import MappedFile
from sysu30k_bench.models.formats.pickles.builders import Builder
from sysu30k_bench.models.formats.pickles.machine import PickleMachine
from sysu30k_bench.models.formats.torch_legacy import MAGIC, read_torch_legacy


def read_pickle(file: MappedFile) -> tuple[object, PickleMachine, str]:
    """Reads a file that begins with a pickle.

    Args:
        file: The file.

    Returns:
        The object, the machine that read it, and the format: `torch (before 1.6)` or `pickle`.

    Raises:
        Damaged: It is cut off, damaged or hostile.
    """
    file.bytes.seek(0)
    builder = Builder(None, file.size, _inner)
    machine = PickleMachine(file.bytes, builder)
    content = machine.load()
    if type(content) is int and content == MAGIC:
        return *read_torch_legacy(file, file.bytes.tell()), "torch (before 1.6)"
    builder.tensors.finish()
    return content, machine, "pickle"


def _inner(content: bytes) -> object:
    """Reads the storage that torch writes, as a file of its own, into a pickle of the standard library."""
    source = io.BytesIO(content)
    machine = PickleMachine(source, Builder(None, len(content)))
    magic = machine.load()
    if type(magic) is not int or magic != MAGIC:
        raise NotPlain
    found, _ = read_torch_legacy(content, source.tell())
    return found
