from __future__ import annotations

import subprocess
import sys

import pytest

WISHES = [
    "pass",
    "torch.set_float32_matmul_precision('medium')",
    "torch.set_float32_matmul_precision('high')",
    "b.cuda.matmul.allow_tf32 = True",
    "b.cudnn.allow_tf32 = False",
    "b.fp32_precision = 'tf32'",
    "b.fp32_precision = 'ieee'",
    "b.cuda.matmul.fp32_precision = 'tf32'",
    "b.cudnn.fp32_precision = 'tf32'",
    "b.cudnn.conv.fp32_precision = 'ieee'",
    "b.mkldnn.fp32_precision = 'bf16'",
    "b.mkldnn.matmul.fp32_precision = 'bf16'",
    "torch.set_float32_matmul_precision('medium'); b.fp32_precision = 'ieee'",
    "b.cudnn.benchmark = b.cudnn.deterministic = True",
]
CODE = """
import os, sys, traceback
import torch
from sysu30k_bench.arithmetic import full_float32

b = torch.backends

def new():
    places = (b, b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn, b.mkldnn.matmul, b.mkldnn.conv, b.mkldnn.rnn)
    return [place.fp32_precision for place in places], b.cudnn.enabled, b.cudnn.benchmark, b.cudnn.deterministic

def old():
    said = []
    for ask in (torch.get_float32_matmul_precision, lambda: b.cuda.matmul.allow_tf32, lambda: b.cudnn.allow_tf32):
        try:
            said.append(ask())
        except RuntimeError:
            said.append(None)
    return said

def check(wish):
    exec(wish)
    before = new(), old()
    try:
        with full_float32():
            assert new()[0][1:] == ["ieee"] * 6, new()
            assert new()[1:] == (True, False, False)
            assert old() == ["highest", False, False], old()
            raise KeyError
    except KeyError:
        pass
    assert new() == before[0], (before, new())
    # what contradicted itself before, and could not be asked for, may be in order now
    assert all(then in (None, now) for then, now in zip(before[1], old(), strict=True)), (before, old())

for wish in sys.argv[1:]:  # a process each: what was wished for once may not be undone
    child = os.fork()
    if child == 0:
        try:
            check(wish)
        except BaseException:
            print(wish)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def test_every_shortcut_is_off_inside_and_as_it_was_after() -> None:
    done = subprocess.run([sys.executable, "-c", CODE, *WISHES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("wish", ["high", "medium"])
def test_linear_layers_on_a_gpu_multiply_in_float32(wish: str) -> None:
    import torch

    from sysu30k_bench.arithmetic import full_float32

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(wish)
    try:
        exact = torch.full((1024, 1), 1 + 2.0**-20, device="cuda")
        left, right = torch.diag(exact[:, 0]), torch.eye(1024, device="cuda")
        with full_float32():
            assert torch.equal((left @ right).diagonal(), exact[:, 0])
    finally:
        torch.set_float32_matmul_precision(before)
