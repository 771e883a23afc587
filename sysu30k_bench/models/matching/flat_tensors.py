"""A checkpoint's tensors in one flat name space, and the prefixes below which a network may lie."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.pickles.standin import StandIn

WRAPPING = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Components that DataParallel, torch.compile, FSDP and checkpointing put into keys; dropped wherever they stand."""

_BESIDE_WEIGHTS = re.compile(
    r"(?i)(optim(?!al|um).*|opt|opts|.*_?schedulers?|lr_schedulers?|.*scaler.*|amp|callbacks|loops|hyper_parameters|hparams.*|rng.*|"
    r"message_hub|args|cfg|config|meta|trainer|history|datamodule_.*)"
)
_LAST_LETTER = chr(0x10FFFF)
_WEIGHTS = frozenset({"weight", "bias", "running_mean"})
_LONGEST_NAME = 500
_MOST_TENSORS = 20_000
_MOST_PARTS = 12
_MOST_TEXTS = 16
_LITERAL = re.compile(r"(?:\w|\\[.\-])+")


@dataclass(frozen=True)
class FlatTensors:
    """Every tensor of a checkpoint by its dotted path.

    Attributes:
        tensors: Tensors by path, freed of the components that wrappers add.
        entries: Names of the file's top-level entries.
        folders: Prefixes at which a mapping of the file begins, each ending in a dot, or empty for the root.
        unread: Paths of values among tensors that the reader could not build, with what they are.
    """

    tensors: Mapping[str, torch.Tensor]
    entries: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ("",)
    unread: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _by_ending(self) -> dict[str, list[str]]:
        endings: dict[str, list[str]] = {}
        for name in self.tensors:
            endings.setdefault(name[_second_dot(name) :], []).append(name)
        return endings

    def prefixes_of(self, ending: str) -> list[str]:
        """Returns every prefix P, empty or ending in a dot, such that the file has a tensor P + ending."""
        short = ending.count(".") < 1
        close = self.tensors if short else self._by_ending.get(ending[_second_dot(ending) :], [])
        cut = len(ending)
        found = [name[:-cut] for name in close if name.endswith(ending)]
        return [prefix for prefix in found if not prefix or prefix.endswith(".")]

    @cached_property
    def _found(self) -> dict[str, list[str]]:
        return {}

    def prefixes_matching(self, pattern: str) -> list[str]:
        """Returns every prefix below which some tensor's name matches a regular expression in full."""
        if pattern not in self._found:
            self._found[pattern] = self._search(pattern)
        return self._found[pattern]

    def _search(self, pattern: str) -> list[str]:
        endings = _literals(pattern)
        if endings:
            return list(dict.fromkeys(prefix for ending in endings for prefix in self.prefixes_of(ending)))
        inner = re.compile(rf"(?P<prefix>(?:.*?\.)??)(?:{pattern})")
        found = (inner.fullmatch(name) for name in self.tensors)
        return list(dict.fromkeys(match["prefix"] for match in found if match))

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.tensors)

    def below(self, prefix: str) -> Mapping[str, torch.Tensor]:
        """Returns the tensors under a prefix, without it."""
        if prefix not in self._parts:
            cut = len(prefix)
            self._parts[prefix] = {name[cut:]: self.tensors[name] for name in self._names_below(prefix)}
        return self._parts[prefix]

    @cached_property
    def _parts(self) -> dict[str, dict[str, torch.Tensor]]:
        return {}

    def _names_below(self, prefix: str) -> list[str]:
        return self._sorted[bisect_left(self._sorted, prefix) : bisect_left(self._sorted, prefix + _LAST_LETTER)]

    def has_entry(self, pattern: str) -> bool:
        """Returns whether the name of some top-level entry matches a regular expression in full."""
        if pattern not in self._entered:
            self._entered[pattern] = any(map(re.compile(pattern).fullmatch, self.entries))
        return self._entered[pattern]

    @cached_property
    def _entered(self) -> dict[str, bool]:
        return {}

    def has_below(self, prefix: str) -> bool:
        """Returns whether any tensor lies under a prefix."""
        return bool(self._names_below(prefix))

    @cached_property
    def openings(self) -> tuple[str, ...]:
        """Prefixes at which a network may begin: at a mapping, below what all its names share, and where they part.

        Below a part that holds most of the tensors the search continues; of many parts the largest are taken.
        """
        found = []
        for folder in self.folders:
            names = [name[len(folder) :].split(".")[:-1] for name in self._names_below(folder)]
            found += [f"{folder}{'.'.join(parts)}." if parts else folder for parts in _partings(names)]
        return tuple(dict.fromkeys(found))

    def folder_of(self, name: str) -> str:
        """Returns the prefix of the innermost mapping of the file that a tensor lies in."""
        return max((folder for folder in self.folders if name.startswith(folder)), key=len, default="")

    def groups(self) -> list[tuple[str, int]]:
        """Returns the prefixes of one or two components that hold most tensors, for messages: (`base.*`, 318)."""
        counts: dict[str, int] = {}
        for name in self.tensors:
            head = name.rpartition(".")[0].split(".")
            key = ".".join([*head[:2], "*"]) if head != [""] else name
            counts[key] = counts.get(key, 0) + 1
        return sorted(counts.items(), key=lambda item: -item[1])


def _partings(paths: list[list[str]]) -> Iterator[list[str]]:
    depth = 0
    yield []
    while paths:
        children = Counter(path[depth] for path in paths if len(path) > depth).most_common(_MOST_PARTS)
        yield from ([*paths[0][:depth], child] for child, _ in children)
        if not children or children[0][1] <= len(paths) / 2:
            return
        paths = [path for path in paths if len(path) > depth and path[depth] == children[0][0]]
        depth += 1


def flatten(content: object) -> FlatTensors:
    """Names every tensor of a checkpoint by its path.

    Optimizer states and the like are left out. A pickled module gives its tensors as its `state_dict()` would.

    Args:
        content: What the reader gave: nested mappings, sequences, tensors, stand-ins.

    Raises:
        IntegrityError: There are more tensors, or longer names, than any model has; or two of one name.
    """
    collector = _Collector()
    collector.walk(content, ())
    entries = frozenset(str(name) for name in content) if isinstance(content, Mapping) else frozenset[str]()
    folders = tuple(dict.fromkeys(["", *collector.folders]))
    found = collector.tensors.tensors or collector.arrays.tensors
    return FlatTensors(found, entries, folders, collector.unread)


class _Named:
    """Tensors by name, and the whole path of each in the file."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._written: dict[str, str] = {}

    def put(self, path: tuple[str, ...], value: torch.Tensor) -> None:
        """Gives a tensor its name; of two that differ by wrappers alone, the plain one has it."""
        written = ".".join(path)
        if len(self.tensors) >= _MOST_TENSORS:
            raise IntegrityError(f"the file holds more than {_MOST_TENSORS} tensors, which no model does")
        if len(written) > _LONGEST_NAME:
            raise IntegrityError(f"the file names a tensor with {len(written)} characters: {written[:60]}...")
        name = _joined(path[:-1], path[-1] if path else "tensor")
        other = self.tensors.get(name)
        if other is None:
            self._keep(name, written, value)
        elif other is value or other.data_ptr() == value.data_ptr():
            return
        elif written == self._written[name]:
            self._keep(name, written, value)
        elif written == name:
            self._keep(self._written[name], self._written[name], other)
            self.tensors[name], self._written[name] = value, written
        else:
            self._keep(written, written, value)

    def _keep(self, name: str, written: str, value: torch.Tensor) -> None:
        other = self.tensors.setdefault(name, value)
        self._written.setdefault(name, written)
        if other is not value and not _are_equal(other, value):
            raise IntegrityError(
                f"the file has two tensors of the name {name[:100]}", hint="save one of them under another name"
            )


def _are_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)


class _Collector:
    def __init__(self) -> None:
        self.tensors, self.arrays = _Named(), _Named()
        self.unread: dict[str, str] = {}
        self.folders: list[str] = []
        self._seen: set[int] = set()

    def walk(self, content: object, path: tuple[str, ...]) -> None:
        waiting: list[tuple[object, tuple[str, ...]]] = [(content, path)]
        while waiting:
            value, path = waiting.pop()
            if isinstance(value, torch.Tensor):
                self.tensors.put(path, value)
                continue
            if isinstance(value, np.ndarray):
                if value.dtype.kind in "fiu" and value.ndim:
                    self.arrays.put(path, torch.from_numpy(np.ascontiguousarray(value)))
                continue
            children = list(_children(value, path))
            if not children or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            if any(isinstance(child, torch.Tensor | np.ndarray) for _, child in children):
                self.folders.append(_joined(path, ""))
                for name, child in children:
                    if isinstance(child, StandIn):
                        self.unread[_joined(path, name)] = str(child)
            waiting += [(child, (*path, name)) for name, child in reversed(children)]


def _children(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    if isinstance(value, StandIn):
        value = _module_parts(value) if value.is_module else _parts(value)
    if isinstance(value, Mapping):
        outside = not any(isinstance(item, torch.Tensor) for item in value.values())
        for name, child in value.items():
            if not (outside and _BESIDE_WEIGHTS.fullmatch(str(name)) and not _is_weights(child)):
                yield str(name), child
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray) and path:
        for number, child in enumerate(value):
            yield str(number), child


def _is_weights(value: object) -> bool:
    """Whether this is a tensor, or a state dict whatever its name."""
    if isinstance(value, Mapping):
        return any(
            isinstance(item, torch.Tensor) and str(name).rpartition(".")[2] in _WEIGHTS for name, item in value.items()
        )
    return isinstance(value, torch.Tensor)


def _module_parts(module: StandIn) -> dict[str, object]:
    """What `state_dict()` would give, a level deep: parameters, buffers that are saved, and modules."""
    held = module.attributes
    skipped = held.get("_non_persistent_buffers_set")
    parts: dict[str, object] = {}
    for kind in ("_parameters", "_buffers", "_modules"):
        found = held.get(kind)
        if isinstance(found, Mapping):
            parts.update((str(name), value) for name, value in found.items() if value is not None)
    return {name: value for name, value in parts.items() if not (isinstance(skipped, set) and name in skipped)}


def _parts(value: StandIn) -> dict[str, object]:
    parts = {str(name): item for name, item in value.items.items()}
    parts.update((str(number), item) for number, item in enumerate(value.appended))
    return {**value.attributes, **parts}


def _joined(path: tuple[str, ...], name: str) -> str:
    parts = [part for step in path for part in step.split(".") if part not in WRAPPING]
    kept = [part for part in name.split(".") if part not in WRAPPING]
    return ".".join([*parts, *kept] if kept else [*parts, name])


def is_plain(pattern: str) -> bool:
    """Returns whether a pattern means a few plain names."""
    return bool(_literals(pattern))


def _literals(pattern: str) -> list[str]:
    """The texts that a pattern of plain letters, escaped dots and groups of alternatives means; none for any other."""
    texts = [""]
    for part in re.split(r"(\([^()]*\))", pattern):
        choices = part[1:-1].split("|") if part.startswith("(") else [part]
        if not all(choice == "" or _LITERAL.fullmatch(choice) for choice in choices):
            return []
        texts = [text + re.sub(r"\\(.)", r"\1", choice) for text in texts for choice in choices]
        if len(texts) > _MOST_TEXTS:
            return []
    return texts


def _second_dot(name: str) -> int:
    last = name.rfind(".")
    return name.rfind(".", 0, last) + 1 if last > 0 else 0
