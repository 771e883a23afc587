"""numpy's arrays, scalars and dtypes out of a pickle, made from their bytes by us."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from sysu30k_bench.models.formats.faults import Damaged, NotPlain
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn

MOST_DIMENSIONS = 32
MOST_EMPTY = 1 << 20
"""Elements of an array whose elements have no bytes."""
Spend = Callable[[int], None]
"""Is told of so many bytes before they are copied, and raises `Damaged` where a file has them copied too often."""

_CODE = re.compile(r"[<>|=]?(?:[biufcSU]\d{1,9}|\?)")


class PendingDtype(StandIn):
    """A dtype whose byte order may follow."""

    __slots__ = ("code", "order")

    def __init__(self, made_by: Global, args: tuple[object, ...]) -> None:
        super().__init__(made_by, args)
        code = args[0] if args else None
        self.code = code if isinstance(code, str) and _CODE.fullmatch(code) else None
        self.order = "="

    def settle(self, state: object) -> None:
        """Takes the byte order out of the state of a dtype; one with fields stays unknown."""
        self.states.append(state)
        if (
            not isinstance(state, tuple)
            or len(state) < 5
            or state[1] not in ("<", ">", "|", "=")
            or state[3] is not None
        ):
            self.code = None
            return
        self.order = str(state[1])

    def dtype(self) -> np.dtype[np.generic]:
        """Returns numpy's dtype.

        Raises:
            NotPlain: It is of objects, records, dates or unknown.
        """
        if self.code is None:
            raise NotPlain
        try:
            found = np.dtype(self.code)
        except TypeError as error:
            raise NotPlain from error
        return found.newbyteorder(">" if self.order == ">" else "<") if self.order in "<>" else found


class PendingArray(StandIn):
    """An array whose bytes follow; `array` is set once they have."""

    __slots__ = ("array", "spend")

    def __init__(self, made_by: Global, args: tuple[object, ...], spend: Spend) -> None:
        super().__init__(made_by, args)
        self.array: np.ndarray | None = None
        self.spend = spend

    def settle(self, state: object) -> None:
        """Takes shape, dtype and bytes out of the state of an array; one of objects stays a stand-in."""
        self.states.append(state)
        if self.array is not None or not isinstance(state, tuple) or len(state) not in (4, 5):
            return
        shape, dtype, fortran, data = state[-4:]
        try:
            self.array = array_of(data, dtype, shape, "F" if fortran else "C", self.spend)
        except NotPlain:
            return


def raw(data: object) -> bytes | bytearray:
    """Returns bytes, which Python 2 wrote as text of one letter a byte.

    Raises:
        NotPlain: It is neither.
    """
    if isinstance(data, (bytes, bytearray)):
        return data
    if isinstance(data, str):
        try:
            return data.encode("latin-1")
        except UnicodeEncodeError as error:
            raise NotPlain from error
    raise NotPlain


def array_of(data: object, dtype: object, shape: object, order: object, spend: Spend) -> np.ndarray:
    """Makes an array of the native byte order that owns its bytes.

    Args:
        data: The bytes.
        dtype: A `PendingDtype`.
        shape: A tuple of lengths.
        order: `C` or `F`.
        spend: Is told of the bytes.

    Raises:
        NotPlain: It is not an array of numbers or text.
        Damaged: The bytes are more or fewer than the shape says.
    """
    if not isinstance(dtype, PendingDtype) or order not in ("C", "F"):
        raise NotPlain
    kind = dtype.dtype()
    content = raw(data)
    if not isinstance(shape, tuple) or len(shape) > MOST_DIMENSIONS:
        raise NotPlain
    if not all(type(length) is int and 0 <= length < 1 << 48 for length in shape):
        raise Damaged("an array's shape is not made of lengths")
    if math.prod(shape) * kind.itemsize != len(content):
        raise Damaged(f"an array of shape {shape} and {kind} has {len(content):,} bytes")
    if kind.itemsize == 0 or not content:
        if math.prod(shape) > MOST_EMPTY:  # numpy gives a text of no length one byte
            raise Damaged(f"an array of shape {shape} and {kind} has no bytes")
        spend(math.prod(shape))
        return np.zeros(shape, kind.newbyteorder("="))
    spend(len(content))
    found = np.frombuffer(bytearray(content), kind).reshape(shape, order="F" if order == "F" else "C")
    return found if kind.isnative else found.astype(kind.newbyteorder("="), order="K")


def scalar_of(dtype: object, data: object, spend: Spend) -> object:
    """Makes a numpy scalar of its dtype and bytes.

    Raises:
        NotPlain: It is not a number or text.
        Damaged: The bytes are more or fewer than the dtype's.
    """
    return array_of(data, dtype, (), "C", spend)[()]
