"""What long work reports while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one piece of work after another."""

    def begin(self, title: str, total: int, unit: str) -> None:
        """A piece of work of `total` units starts."""

    def advance(self, count: int) -> None:
        """`count` more units are done."""

    def end(self) -> None:
        """The piece of work is over."""

    def say(self, message: str) -> None:
        """Something that the user should read, such as a shard that is computed again."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, title: str, total: int, unit: str) -> None:
        """Does nothing."""

    def advance(self, count: int) -> None:
        """Does nothing."""

    def end(self) -> None:
        """Does nothing."""

    def say(self, message: str) -> None:
        """Does nothing."""
