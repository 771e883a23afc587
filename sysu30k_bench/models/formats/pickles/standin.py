"""What takes the place of a class, a function or an object that a pickle names: a description that does nothing."""

from __future__ import annotations

from dataclasses import dataclass

_TENSOR_MAKERS = ("torch._utils", "torch._tensor", "torch.nested", "torch.sparse", "torch.distributed.tensor")


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that a file names. It is never imported.

    Attributes:
        module: The module's name, as the file has it.
        name: The name inside the module; dots where it is nested.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


class StandIn:
    """An object that a file describes and that nobody built.

    Attributes:
        made_by: The class or function that would have made it.
        args: What that would have been given.
        kwargs: The same by name.
        states: What would have become its attributes, in the file's order; mostly one dict.
        items: Its entries, where it is a kind of dict.
        appended: Its elements, where it is a kind of list.
    """

    __slots__ = ("appended", "args", "items", "kwargs", "made_by", "states")

    def __init__(
        self, made_by: Global, args: tuple[object, ...] = (), kwargs: dict[object, object] | None = None
    ) -> None:
        self.made_by = made_by
        self.args = args
        self.kwargs = kwargs
        self.states: list[object] = []
        self.items: dict[object, object] = {}
        self.appended: list[object] = []

    @property
    def attributes(self) -> dict[str, object]:
        """The attributes by name, from dicts and from slots; a copy."""
        found: dict[str, object] = {}
        for state in self.states:
            pair = state if isinstance(state, tuple) and len(state) == 2 else (state,)
            for part in pair:
                if isinstance(part, dict):
                    found.update((name, value) for name, value in part.items() if isinstance(name, str))
        return found

    @property
    def is_module(self) -> bool:
        """Whether this is a `torch.nn.Module`, by what its state holds."""
        found = self.attributes
        return isinstance(found.get("_parameters"), dict) and isinstance(found.get("_modules"), dict)

    @property
    def is_tensor(self) -> bool:
        """Whether this stands for a tensor of a kind that is not read: quantised, sparse, nested, distributed."""
        return self.made_by.module.startswith(_TENSOR_MAKERS) or self.made_by.name.startswith("_rebuild")

    def __str__(self) -> str:
        return str(self.made_by)

    def __repr__(self) -> str:
        return f"<stand-in for {self.made_by}>"
