"""What becomes of the calls in a pickle: plain containers, arrays and tensors are built, all else is a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sysu30k_bench.models.formats.faults import Damaged, NotPlain, Unusual
from sysu30k_bench.models.formats.pickles.arrays import PendingArray, PendingDtype, array_of, raw, scalar_of
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.tensors import Records, Storage, TensorMaker, plain_dtype, storage_dtype

_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "torch.tensor": "torch._tensor",
    "torch.nn.parameter": "torch.nn",
    "torch.autograd.variable": "torch.autograd",
}
_LONGEST_KEY = 200

Call = Callable[["Builder", Global, tuple[Any, ...]], object]


class Builder:
    """The world of a `PickleMachine` (see there) for one file.

    Args:
        records: The file's raw numbers, for its persistent ids; None where it has none.
        size: Bytes of the file, to which copies are held.
        inner: Reads a torch file that lies as bytes inside this one; None where that is not allowed.
    """

    def __init__(self, records: Records | None, size: int, inner: Callable[[bytes], object] | None = None) -> None:
        self.tensors = TensorMaker()
        self.inner = inner
        self._records = records
        self._left = 4 * size + (1 << 20)
        self._storages: dict[str, Storage] = {}

    def spend(self, count: int) -> None:
        """Counts bytes or elements that are copied.

        Raises:
            Damaged: The file has its values copied so often that it must be hostile.
        """
        self._left -= count + 1
        if self._left < 0:
            raise Unusual("its pickle multiplies its values beyond reason")

    def call(self, made_by: Global, args: tuple[object, ...], kwargs: dict[object, object] | None) -> object:
        """Returns what a call makes, if it is a known one, or a stand-in."""
        build = _KNOWN.get(_canonical(made_by))
        if build is not None and not kwargs:
            try:
                return build(self, made_by, args)
            except NotPlain:
                pass
        return StandIn(made_by, args, kwargs)

    def state(self, target: object, state: object) -> object:
        """Lets an array or a dtype take its state, and keeps that of a stand-in."""
        if isinstance(target, PendingArray):
            target.settle(state)
            return self.current(target)
        if isinstance(target, PendingDtype):
            target.settle(state)
        elif isinstance(target, StandIn):
            target.states.append(state)
        elif not isinstance(target, (torch.Tensor, dict, list, set)):  # theirs is gradients, hooks and versions
            raise Damaged(f"its pickle gives a state to a {type(target).__name__}")
        return target

    def current(self, value: object) -> object:
        """Returns the array that a pending one has become."""
        return value.array if type(value) is PendingArray and value.array is not None else value

    def persistent(self, name: object) -> object:
        """Returns the storage that a persistent id stands for; for the source of a class, the class."""
        if isinstance(name, tuple) and len(name) >= 2 and name[0] == "module":
            return name[1]
        if not isinstance(name, tuple) or len(name) not in (5, 6) or name[0] != "storage" or self._records is None:
            return StandIn(Global("", "persistent id"), (name,))
        kind, key, _, count = name[1:5]
        dtype = storage_dtype(kind)
        if dtype is None:
            return StandIn(kind if isinstance(kind, Global) else Global("torch", "storage"))
        if not isinstance(key, (str, int)) or len(str(key)) > _LONGEST_KEY or type(count) is not int or count < 0:
            raise Damaged("a storage has no name or no length")
        first = 0
        if len(name) == 6 and name[5] is not None:
            first, count = _view(name[5], count)
        return Storage(self._records, str(key), dtype, first, count)


def _view(view: object, count: int) -> tuple[int, int]:
    if not isinstance(view, tuple) or len(view) != 3 or type(view[1]) is not int or type(view[2]) is not int:
        raise Damaged("a part of a storage makes no sense")
    if not 0 <= view[1] <= view[1] + view[2] <= count:
        raise Damaged("a part of a storage reaches beyond it")
    return view[1], view[2]


def _canonical(made_by: Global) -> tuple[str, str]:
    module = made_by.module
    if module.startswith("numpy.core"):
        module = f"numpy._core{module[10:]}"
    return _MODULES.get(module, module), made_by.name


def _elements(builder: Builder, args: tuple[Any, ...]) -> list[Any]:
    if not args:
        return []
    if not isinstance(args[0], (list, tuple, set, frozenset)):
        raise NotPlain
    builder.spend(len(args[0]))
    return list(args[0])


def _is_easy(key: object) -> bool:
    """Says whether a key is of a kind whose hash a file cannot choose."""
    if isinstance(key, int):
        return type(key) in (int, bool) and abs(key) < 1 << 60
    return isinstance(key, (str, bytes, Global, type(None)))


def _dict(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if args and isinstance(args[0], dict):
        builder.spend(len(args[0]))
        return dict(args[0])
    pairs = _elements(builder, args[:1])
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and _is_easy(pair[0]) for pair in pairs):
        raise NotPlain
    return dict(pairs)


def _list(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    return _elements(builder, args)


def _tuple(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    return tuple(_elements(builder, args))


def _set(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    found = _elements(builder, args)
    if not all(_is_easy(value) for value in found):
        raise NotPlain
    return set(found)


def _complex(_builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 2 or not all(type(value) in (int, float) for value in args):
        raise NotPlain
    return complex(float(args[0]), float(args[1]))


def _bytes(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if not args:
        return b""
    if len(args) > 1 and args[1] not in ("latin1", "latin-1"):
        raise NotPlain
    found = raw(args[0])
    builder.spend(len(found))
    return bytes(found)


def _array(builder: Builder, made_by: Global, args: tuple[Any, ...]) -> object:
    if not args or not isinstance(args[0], Global) or _canonical(args[0]) != ("numpy", "ndarray"):
        raise NotPlain
    return PendingArray(made_by, args, builder.spend)


def _from_buffer(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 4:
        raise NotPlain
    return array_of(*args, builder.spend)


def _scalar(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 2:
        raise NotPlain
    return scalar_of(args[0], args[1], builder.spend)


def _dtype(_builder: Builder, made_by: Global, args: tuple[Any, ...]) -> object:
    return PendingDtype(made_by, args)


def _tensor(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if not 4 <= len(args) <= 7:
        raise NotPlain
    return builder.tensors.make(*args[:4], metadata=args[6] if len(args) == 7 else None)


def _tensor_v3(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    dtype = plain_dtype(args[6]) if len(args) in (7, 8) else None
    if dtype is None:
        raise NotPlain
    return builder.tensors.make(*args[:4], dtype=dtype, metadata=args[7] if len(args) == 8 else None)


def _parameter(_builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if not args or not isinstance(args[0], torch.Tensor):
        raise NotPlain
    _refuse_other_tensors(args[3] if len(args) == 4 else None)
    return args[0]


def _refuse_other_tensors(state: object) -> None:
    """Other numbers in its state, however deep, say what a tensor means, as the scales of a quantised one do."""
    left, seen = [state], set()
    while left:
        part = left.pop()
        if isinstance(part, (torch.Tensor, Storage, StandIn, np.ndarray, np.generic)):
            raise NotPlain
        if id(part) in seen or not isinstance(part, (dict, list, tuple, set, frozenset)):
            continue
        seen.add(id(part))
        left += [*part, *part.values()] if isinstance(part, dict) else part


_TENSOR_TYPES = {("torch.nn", "Parameter"), ("torch.nn", "Buffer"), ("torch._tensor", "Tensor"), ("torch", "Tensor")}


def _from_type(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 4 or not isinstance(args[0], Global) or not isinstance(args[1], Global):
        raise NotPlain
    if _canonical(args[1]) not in _TENSOR_TYPES or not isinstance(args[2], tuple):
        raise NotPlain
    build = _KNOWN.get(_canonical(args[0]))
    if build not in (_tensor, _tensor_v3, _parameter):
        raise NotPlain
    _refuse_other_tensors(args[3])
    return build(builder, args[0], args[2])


def _stored(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if builder.inner is None or len(args) != 1 or not isinstance(args[0], bytes):
        raise NotPlain
    builder.spend(len(args[0]))
    return builder.inner(args[0])


def _from_numpy(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    dtype = plain_dtype(args[1]) if len(args) == 4 else None
    if dtype is None or type(args[0]).__name__ != "ndarray" or args[0].dtype.kind not in "biuf":
        raise NotPlain
    builder.spend(args[0].nbytes)
    return torch.from_numpy(args[0].copy()).to(dtype)


def _from_tensor(_builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 4 or not isinstance(args[0], torch.Tensor) or plain_dtype(args[1]) != args[0].dtype:
        raise NotPlain
    return args[0]


def _graph_module(_builder: Builder, made_by: Global, args: tuple[Any, ...]) -> object:
    if not args or not isinstance(args[0], dict):
        raise NotPlain
    made = StandIn(made_by, args[1:])
    made.states.append(args[0])
    return made


def _reconstructed(_builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) != 3 or not isinstance(args[0], Global):
        raise NotPlain
    made = StandIn(args[0])
    if isinstance(args[2], dict):
        made.items = args[2]
    elif isinstance(args[2], list):
        made.appended = args[2]
    elif args[2] is not None:
        made.args = (args[2],)
    return made


def _new(builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if not args or not isinstance(args[0], Global):
        raise NotPlain
    return builder.call(args[0], args[1:], None)


def _device(_builder: Builder, _: Global, args: tuple[Any, ...]) -> object:
    if len(args) not in (1, 2) or not isinstance(args[0], str) or not all(type(part) is int for part in args[1:]):
        raise NotPlain
    return ":".join(str(part) for part in args)


_KNOWN: dict[tuple[str, str], Call] = {
    ("collections", "OrderedDict"): _dict,
    ("collections", "Counter"): _dict,
    ("collections", "defaultdict"): lambda builder, made_by, args: _dict(builder, made_by, args[1:]),
    ("collections", "deque"): _list,
    ("builtins", "dict"): _dict,
    ("builtins", "list"): _list,
    ("builtins", "tuple"): _tuple,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _set,
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
    ("_codecs", "encode"): _bytes,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copyreg", "__newobj__"): _new,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "dtype"): _dtype,
    ("torch", "Size"): _tuple,
    ("torch", "device"): _device,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _from_numpy,
    ("torch._utils", "_rebuild_xla_tensor"): _from_numpy,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _from_tensor,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch._tensor", "_rebuild_from_type"): _from_type,
    ("torch.storage", "_load_from_bytes"): _stored,
    ("torch.nn", "Parameter"): _parameter,
    ("torch.autograd", "Variable"): _parameter,
    ("torch.fx.graph_module", "reduce_graph_module"): _graph_module,
}
