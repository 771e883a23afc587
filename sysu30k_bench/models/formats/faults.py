"""What the readers of this room raise among themselves; `read` turns it into an error for people."""

from __future__ import annotations


class Damaged(Exception):  # noqa: N818 - a state of the file, named as people say it
    """The bytes are not what a file of this kind can hold.

    Args:
        said: What is wrong, in the middle of a sentence.
        cut: Whether the file ends too early, as an unfinished download does.
    """

    def __init__(self, said: str, *, cut: bool = False) -> None:
        super().__init__(said)
        self.cut = cut


class Unusual(Damaged):
    """The file may be whole, but is of a form or a size that a reader of strangers' files does not take."""


class NotPlain(Exception):  # noqa: N818 - told to the caller, never to a person
    """A call that the table of known globals does not cover with these arguments: a stand-in takes its place."""
