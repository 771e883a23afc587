"""The memory of the pickle interpreter: its stack, marks and memo, and what may be put where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn

MOST_ODD_KEYS = 5_000
"""Keys whose hash a file can choose (tuples, floats, huge numbers): so many collide in no noticeable time."""

_LONGEST_NAME = 1000
_LARGEST_KEY = 1 << 60
_PLAIN_KEYS = (str, bytes, bool, type(None), Global, StandIn, torch.Tensor, torch.dtype)


class World(Protocol):
    """What the interpreter asks for all that is more than a plain value."""

    def call(self, made_by: Global, args: tuple[Any, ...], kwargs: dict[object, object] | None) -> object:
        """Returns what stands for the result of a call."""

    def state(self, target: object, state: object) -> object:
        """Gives an object its state; returns the object, or what takes its place."""

    def persistent(self, name: object) -> object:
        """Returns what a persistent id means."""

    def current(self, value: object) -> object:
        """Returns what took the place of an object since it was memoised, or the object."""


class PickleStack:
    """The state of an interpreter. Popping from an empty stack raises IndexError.

    Args:
        world: What stands behind globals, calls, states and persistent ids.

    Attributes:
        items: The values since the last mark, the newest last.
        memo: The values kept by number.
        named: All classes and functions that were named.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.items: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.named: set[Global] = set()
        self._outer: list[list[Any]] = []
        self._odd_keys = 0

    def clear(self) -> None:
        """Forgets all values, for the next pickle."""
        self.items, self.memo, self._outer = [], {}, []

    def mark(self) -> None:
        """Begins a group of values."""
        self._outer.append(self.items)
        self.items = []

    def since_mark(self) -> list[Any]:
        """Takes the values since the last mark off the stack, and the mark."""
        items = self.items
        self.items = self._outer.pop()
        return items

    def recall(self, number: int) -> None:
        """Pushes a value of the memo."""
        if number not in self.memo:
            raise Damaged("its pickle recalls a value that was not kept")
        self.items.append(self.world.current(self.memo[number]))

    def key(self, key: object, depth: int = 0) -> object:
        """Returns a value that may be a dict's key or a set's element, in bounded time for all of them together.

        Raises:
            Damaged: It cannot be one.
        """
        if isinstance(key, _PLAIN_KEYS) or (isinstance(key, int) and -_LARGEST_KEY < key < _LARGEST_KEY):
            return key
        if isinstance(key, (tuple, frozenset)) and len(key) <= 64 and depth < 4:
            for part in key:
                self.key(part, depth + 1)
        elif not isinstance(key, (int, float, complex, np.generic)):
            raise Damaged(f"its pickle takes a {type(key).__name__} for a key")
        self._odd_keys += 1
        if self._odd_keys > MOST_ODD_KEYS:
            raise Unusual(f"its pickle has more than {MOST_ODD_KEYS:,} keys that are no text")
        return key

    def extend(self, elements: Sequence[Any]) -> None:
        """Puts elements behind those of the list, the set or the stand-in on top."""
        target = self.items[-1]
        if isinstance(target, StandIn):
            target.appended.extend(elements)
        elif isinstance(target, list):
            target.extend(elements)
        elif isinstance(target, set):
            target.update(self.key(element) for element in elements)
        else:
            raise Damaged(f"its pickle appends to a {type(target).__name__}")

    def fill(self, pairs: Sequence[Any]) -> None:
        """Puts keys and values, one after the other, into the dict or the stand-in on top."""
        target = self.items[-1]
        entries = target.items if isinstance(target, StandIn) else target
        if not isinstance(entries, dict):
            raise Damaged(f"its pickle puts entries into a {type(target).__name__}")
        if len(pairs) % 2:
            raise Damaged("its pickle puts a key without a value into a dict")
        for place in range(0, len(pairs), 2):
            key = pairs[place]
            entries[key if type(key) is str else self.key(key)] = pairs[place + 1]

    def name(self, module: object, name: object) -> Global:
        """Returns a class or function by its names, which is noted and never imported."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _LONGEST_NAME:
            raise Damaged("its pickle names a class by something that is no name")
        found = Global(module, name)
        self.named.add(found)
        return found

    def call(self, callee: object, args: object, kwargs: object = None) -> object:
        """Returns what stands for the result of a call."""
        if isinstance(callee, StandIn):  # the result of another call, such as getattr's
            maker = callee.made_by
            callee = maker if maker.name.endswith("()") else Global(maker.module, f"{maker.name}()")
        if not isinstance(callee, Global):
            raise Damaged(f"its pickle calls a {type(callee).__name__}")
        if not isinstance(args, tuple) or not isinstance(kwargs, dict | None):
            raise Damaged("its pickle calls with arguments that are no tuple")
        return self.world.call(callee, args, kwargs)
