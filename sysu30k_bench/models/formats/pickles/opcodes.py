"""What each opcode of pickle does to the stack, for protocols 0 to 5.

The names are those of the standard library's `pickletools`, which documents them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sysu30k_bench.models.formats.faults import Damaged, Unusual
from sysu30k_bench.models.formats.pickles.stack import PickleStack
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn

NEWEST_PROTOCOL = 5
_LONGEST_NUMBER = 512

Action = Callable[[PickleStack, Any], object]
"""Takes the stack and the opcode's argument, None where it has none."""


def _push(stack: PickleStack, argument: object) -> None:
    stack.items.append(argument)


def _long(stack: PickleStack, argument: int) -> None:
    """Pushes a number; one of more than 512 bits is only named, for printing it takes quadratic time."""
    stack.items.append(argument if argument.bit_length() <= _LONGEST_NUMBER else StandIn(Global("builtins", "int")))


def _proto(_: PickleStack, argument: int) -> None:
    if argument > NEWEST_PROTOCOL:
        raise Unusual(f"its pickle is of protocol {argument}; 0 to {NEWEST_PROTOCOL} are known")


def _refuse(_: PickleStack, __: object) -> None:
    raise Unusual("its pickle uses a registry or buffers outside of the file, as no checkpoint does")


def _pop(stack: PickleStack, _: object) -> None:
    if stack.items:
        stack.items.pop()
    else:
        stack.since_mark()


def _gather(make: Callable[[list[Any]], object]) -> Action:
    """Makes one value of those since the mark."""

    def act(stack: PickleStack, _: object) -> None:
        made = make(stack.since_mark())
        stack.items.append(made)

    return act


def _tuple_of(count: int) -> Action:
    def act(stack: PickleStack, _: object) -> None:
        items = stack.items
        if len(items) < count:
            raise IndexError
        items[-count:] = [tuple(items[-count:])]

    return act


def _frozenset(stack: PickleStack, _: object) -> None:
    found = frozenset(stack.key(item) for item in stack.since_mark())
    stack.items.append(found)


def _dict(stack: PickleStack, _: object) -> None:
    pairs = stack.since_mark()
    stack.items.append({})
    stack.fill(pairs)


def _append(stack: PickleStack, _: object) -> None:
    value = stack.items.pop()
    if isinstance(stack.items[-1], set):
        raise Damaged("its pickle appends to a set")
    stack.extend((value,))


def _setitem(stack: PickleStack, _: object) -> None:
    value, key = stack.items.pop(), stack.items.pop()
    stack.fill((key, value))


def _put(stack: PickleStack, argument: int) -> None:
    if not 0 <= argument < 1 << 32:
        raise Damaged("its pickle keeps a value under a number that makes no sense")
    stack.memo[argument] = stack.items[-1]


def _memoize(stack: PickleStack, _: object) -> None:
    stack.memo[len(stack.memo)] = stack.items[-1]


def _global(stack: PickleStack, argument: str) -> None:
    stack.items.append(stack.name(*argument.split(" ", 1)))


def _stack_global(stack: PickleStack, _: object) -> None:
    name, module = stack.items.pop(), stack.items.pop()
    stack.items.append(stack.name(module, name))


def _reduce(stack: PickleStack, _: object) -> None:
    args = stack.items.pop()
    stack.items[-1] = stack.call(stack.items[-1], args)


def _newobj_ex(stack: PickleStack, _: object) -> None:
    kwargs, args = stack.items.pop(), stack.items.pop()
    stack.items[-1] = stack.call(stack.items[-1], args, kwargs)


def _obj(stack: PickleStack, _: object) -> None:
    callee, *args = stack.since_mark() or [None]
    stack.items.append(stack.call(callee, tuple(args)))


def _inst(stack: PickleStack, argument: str) -> None:
    args = stack.since_mark()
    stack.items.append(stack.call(stack.name(*argument.split(" ", 1)), tuple(args)))


def _build(stack: PickleStack, _: object) -> None:
    state = stack.items.pop()
    stack.items[-1] = stack.world.state(stack.items[-1], state)


def _persid(stack: PickleStack, argument: str) -> None:
    stack.items.append(stack.world.persistent(argument))


def _binpersid(stack: PickleStack, _: object) -> None:
    stack.items[-1] = stack.world.persistent(stack.items[-1])


_PUSHED = (
    *("INT", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
ACTIONS: dict[str, Action] = {
    **dict.fromkeys(_PUSHED, _push),
    **dict.fromkeys(("LONG", "LONG1", "LONG4"), _long),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda stack, number: stack.recall(number)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _reduce),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"), _refuse),
    "NONE": lambda stack, _: stack.items.append(None),
    "NEWTRUE": lambda stack, _: stack.items.append(True),
    "NEWFALSE": lambda stack, _: stack.items.append(False),
    "EMPTY_LIST": lambda stack, _: stack.items.append([]),
    "EMPTY_TUPLE": lambda stack, _: stack.items.append(()),
    "EMPTY_DICT": lambda stack, _: stack.items.append({}),
    "EMPTY_SET": lambda stack, _: stack.items.append(set()),
    "LIST": _gather(list),
    "TUPLE": _gather(tuple),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "FROZENSET": _frozenset,
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": lambda stack, _: stack.extend(stack.since_mark()),
    "ADDITEMS": lambda stack, _: stack.extend(stack.since_mark()),
    "SETITEM": _setitem,
    "SETITEMS": lambda stack, _: stack.fill(stack.since_mark()),
    "POP": _pop,
    "DUP": lambda stack, _: stack.items.append(stack.items[-1]),
    "MARK": lambda stack, _: stack.mark(),
    "POP_MARK": lambda stack, _: stack.since_mark(),
    "MEMOIZE": _memoize,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "BUILD": _build,
    "INST": _inst,
    "OBJ": _obj,
    "NEWOBJ_EX": _newobj_ex,
    "PROTO": _proto,
    "FRAME": lambda _, __: None,
    "PERSID": _persid,
    "BINPERSID": _binpersid,
}
