"""Texts of strangers: the byte order mark with which editors begin a file is no part of its first line."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which begins as this one does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

MARK_BYTES = 4
"""Of the longest mark."""


def encoding_of(head: bytes) -> str:
    """Returns the encoding that the first bytes of a text tell, by a name under which Python takes the mark off."""
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "utf-8")


def text_of(content: bytes, *, errors: str = "replace") -> str:
    """Decodes a text: UTF-8, or what its byte order mark says, which is taken off.

    Args:
        content: The file's bytes.
        errors: What becomes of bytes that are no text, as in `bytes.decode`.

    Raises:
        UnicodeDecodeError: Some are none, and `errors` is `strict`.
    """
    return content.decode(encoding_of(content), errors)
