"""Opens stand-ins: what a module or another object holds, as plain dicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.faults import Damaged
from sysu30k_bench.models.formats.pickles.extent import settle
from sysu30k_bench.models.formats.pickles.standin import StandIn

MOST_MODULES = 200_000
MOST_VALUES = 5_000_000

_Open = dict[object, object] | list[object]


def module_tensors(module: StandIn) -> dict[str, object]:
    """Returns what `state_dict()` of a pickled module would: parameters and persistent buffers by dotted names.

    Args:
        module: The stand-in of a `torch.nn.Module`.

    Returns:
        Tensors, and stand-ins for those that could not be read.

    Raises:
        IntegrityError: Its modules are shared so often that there is no end to them.
    """
    found: dict[str, object] = {}
    waiting: list[tuple[str, StandIn, frozenset[int]]] = [("", module, frozenset())]
    count = 0
    while waiting:
        prefix, current, above = waiting.pop()
        count += 1
        if count > MOST_MODULES or len(above) > 200:
            raise IntegrityError("a module in it holds modules without end", hint="save `model.state_dict()` instead")
        state = current.attributes
        passing = state.get("_non_persistent_buffers_set")
        left_out = passing if isinstance(passing, set) else set()
        for kind in ("_parameters", "_buffers"):
            entries = state.get(kind)
            for name, value in (_entries(entries)).items():
                if value is not None and not (kind == "_buffers" and name in left_out):
                    found[prefix + str(name)] = value
        inside = above | {id(current)}
        for name, child in reversed(_entries(state.get("_modules")).items()):
            if isinstance(child, StandIn) and id(child) not in inside:
                waiting.append((f"{prefix}{name}.", child, inside))
    return found


def _entries(value: object) -> dict[object, object]:
    return value.items if isinstance(value, StandIn) else value if isinstance(value, dict) else {}


def contents(standin: StandIn) -> object:
    """Returns what a stand-in holds, one level: a module's tensors, entries and attributes, or elements.

    The stand-in itself comes back where it holds nothing, or stands for a tensor.
    """
    if standin.is_tensor:
        return standin
    if standin.is_module:
        return module_tensors(standin)
    named: dict[object, object] = {}
    named.update(standin.attributes)
    named.update(standin.items)
    return named or standin.appended or standin


def unfold(content: object) -> object:
    """Copies nested values with every stand-in opened to plain dicts and lists.

    A stand-in that is held in several places is opened at the one that lies nearest to the top, so that objects
    which hold one another come to an end; elsewhere it stays closed.

    Args:
        content: What `read_content` returned, or a part of it.

    Returns:
        Dicts, lists, tuples and leaves; a `StandIn` only where there was nothing to open.

    Raises:
        IntegrityError: There is no end to it.
    """
    opened: set[int] = set()
    copies: dict[int, _Open] = {}
    held: list[object] = []  # what has been copied stays alive, so that no id comes twice
    holder: list[object] = [content]
    waiting: deque[tuple[_Open, object]] = deque([(holder, 0)])
    while waiting:
        place, key = waiting.popleft()
        value = _entries_of(place)[key]
        if isinstance(value, StandIn):
            if id(value) in opened:
                continue
            opened.add(id(value))
            value = contents(value)
        if id(value) not in copies:
            if not isinstance(value, (dict, list, tuple)):
                continue
            copied: _Open = dict(value) if isinstance(value, dict) else list(value)
            copies[id(value)] = copied
            held.append(value)
            for inner, child in copied.items() if isinstance(copied, dict) else enumerate(copied):
                if isinstance(child, (dict, list, tuple, StandIn)):
                    waiting.append((copied, inner))
        _entries_of(place)[key] = copies[id(value)]
    try:
        settle(holder, MOST_VALUES)
    except Damaged as error:
        raise IntegrityError(
            f"the objects in it cannot be opened: {error}", hint="save `model.state_dict()`"
        ) from error
    return holder[0]


def _entries_of(place: _Open) -> dict[object, object]:
    return cast("dict[object, object]", place)  # a list has its places for keys


def standins(content: object) -> Iterator[StandIn]:
    """Yields every stand-in in nested values, at any depth, once."""
    seen: set[int] = set()
    waiting: list[object] = [content]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, (StandIn, dict, list, tuple)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, StandIn):
            yield value
            waiting += [value.states, value.items, value.appended, value.args]
        else:
            waiting += value.values() if isinstance(value, dict) else value
