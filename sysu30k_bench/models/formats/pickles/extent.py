"""Makes nested values safe to walk: no container holds itself, none is endlessly wide or deep once unrolled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from sysu30k_bench.models.formats.faults import Unusual
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn

DEEPEST = 100
"""Containers inside one another."""

ITSELF = Global("", "a container that holds itself")
_CONTAINERS = (dict, list, tuple, set, frozenset)


@dataclass(slots=True)
class _Frame:
    container: object
    children: Iterator[tuple[object, object]]
    place: object = None
    size: int = 1
    height: int = 1


def settle(root: object, most: int) -> None:
    """Cuts the containers that hold themselves, and refuses those that only seem small.

    A stand-in counts as one value here, and what it holds is looked at by itself.

    Args:
        root: Any value; changed in place where something holds itself.
        most: How many values a container may have, counting shared ones every time.

    Raises:
        Damaged: It has more, or is nested too deeply.
    """
    measured: dict[int, tuple[int, int]] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, StandIn):
            if id(value) not in seen:
                seen.add(id(value))
                waiting += [value.args, value.kwargs, value.states, value.items, value.appended]
        elif isinstance(value, _CONTAINERS) and value and id(value) not in measured:
            _measure(value, most, measured, waiting)


def _measure(root: object, most: int, measured: dict[int, tuple[int, int]], waiting: list[object]) -> None:
    frames = [_Frame(root, _children(root))]
    active = {id(root)}
    while frames:
        frame = frames[-1]
        for place, child in frame.children:
            frame.place = place
            if isinstance(child, StandIn):
                waiting.append(child)
            if not isinstance(child, _CONTAINERS):
                frame.size += 1
            elif id(child) in active:
                _cut(frames)
            elif id(child) in measured:
                size, height = measured[id(child)]
                frame.size += size
                frame.height = max(frame.height, height + 1)
            else:
                frames.append(_Frame(child, _children(child)))
                active.add(id(child))
                break
        else:
            frames.pop()
            active.remove(id(frame.container))
            if frames:
                frames[-1].size += frame.size
                frames[-1].height = max(frames[-1].height, frame.height + 1)
            measured[id(frame.container)] = (frame.size, frame.height)
        if frame.size > most or frame.height > DEEPEST or len(frames) > DEEPEST:
            raise Unusual("its values are nested beyond reason")


def _children(container: object) -> Iterator[tuple[object, object]]:
    if isinstance(container, dict):
        return iter(list(container.items()))
    return enumerate(container) if isinstance(container, (list, tuple, set, frozenset)) else iter(())


def _cut(frames: list[_Frame]) -> None:
    """Takes the way back out of the innermost container that can be changed; a circle always has one."""
    for frame in reversed(frames):
        if isinstance(frame.container, (dict, list)):
            entries = cast("dict[object, object]", frame.container)  # or a list with its places
            entries[frame.place] = StandIn(ITSELF)
            return
