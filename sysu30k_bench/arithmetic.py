"""float32 that is float32: torch's shortcuts (TF32, bfloat16) switched off for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

_FULL = "ieee"


@contextmanager
def full_float32() -> Iterator[None]:
    """Runs everything inside in IEEE float32, on any device; then all settings are as they were.

    torch has two sets of switches, and its getters of the old one (`float32_matmul_precision`, `allow_tf32`) raise
    where the new one (`fp32_precision`) has been used. So the new one is read and set, operation by operation, since an
    operation's own setting overrules those of its library and of torch; and the old one is only kept in step, so that
    what asks it finds no contradiction. Algorithms are not chosen by their speed either.
    """
    cudnn, operations = torch.backends.cudnn, _operations()
    settings = [operation.fp32_precision for operation in operations]
    switches = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
    matmul = tf32 = None
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        tf32 = cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = False
        for operation in operations:
            operation.fp32_precision = _FULL
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = True, False, False
        yield
    finally:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = switches
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if tf32 is not None:
            cudnn.allow_tf32 = tf32
        for operation, setting in zip(operations, settings, strict=True):
            operation.fp32_precision = setting


def _operations() -> list[Any]:
    cudnn: Any = torch.backends.cudnn
    onednn: Any = torch.backends.mkldnn
    return [torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn, onednn.matmul, onednn.conv, onednn.rnn]
