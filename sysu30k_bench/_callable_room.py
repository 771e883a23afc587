"""Rooms that share their name with a public function: `sb.search` is a package, and can be called.

Python binds a package's sub-package as its attribute, whatever else has that name. So the sub-package itself passes a
call on to the function.
"""

from __future__ import annotations

import importlib
from types import ModuleType

TYPE_CHECKING = False  # `typing` and `inspect` take longer to load than all else before a signal is answered
if TYPE_CHECKING:
    import inspect
    from typing import Any


class CallableRoom(ModuleType):
    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The function's documentation, for `help` and notebooks."""
        import inspect

        return inspect.getdoc(self._function()) or ""

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's signature, for `help`, editors and notebooks."""
        import inspect

        return inspect.signature(self._function())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever the function takes and returns
        """Calls the function."""
        return self._function()(*args, **kwargs)

    def _function(self) -> Any:  # noqa: ANN401
        package, _, name = self.__name__.rpartition(".")
        home = {"gate": "runs"}.get(name, name)
        return getattr(importlib.import_module(f"{package}.api.{home}"), name)


def make_callable(name: str) -> None:
    """Makes a sub-package callable; only its own `__init__` is imported, which must be light.

    Args:
        name: Of the sub-package.
    """
    room = importlib.import_module(f"sysu30k_bench.{name}")
    room.__class__ = CallableRoom
