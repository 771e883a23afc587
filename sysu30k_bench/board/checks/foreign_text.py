"""Words of strangers: what may stand in rows and keys that become tables, pages, logs and spreadsheets."""

from __future__ import annotations

import re
import unicodedata

_MARKUP = re.compile("[<>`|]")
# a cell that a spreadsheet calculates begins with one of these; a separator or a quote in a text can begin a cell, too
_FORMULA = re.compile(r"""\s*["']*\s*[=+\-@\u2212]|.*[,;"']\s*=""", re.DOTALL)
# printable to Python, and nothing to see: fillers, variation selectors, the grapheme joiner, Braille's blank
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U00016fe4\U000e0100-\U000e01ef]"
)
# accents of no script: where composition leaves one, letters were stacked; the marks of a script are two at most
_STACKED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]",
)
_MOST_MARKS = 2
_LINK = re.compile(r"https?://([^\s/?#]*)", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?", re.IGNORECASE)
_AROUND_LINKS = ".,;:!'\")]}"


def word_fault(text: str) -> str | None:
    """Says why a text may not stand on a board.

    Compatibility forms count as what they stand for: `=` of full width is one, and so are angle brackets.

    Args:
        text: A name, a source, a key or any other text from outside.

    Returns:
        What is wrong with it, without the text; None where nothing is.
    """
    plain = unicodedata.normalize("NFKC", text)
    if not text.isprintable() or _MARKUP.search(plain):
        return "text with markup or control characters"
    if not text.isascii() and (_INVISIBLE.search(text + plain) or _is_stacked(unicodedata.normalize("NFC", text))):
        return "text with invisible or stacked characters"
    if _FORMULA.match(plain):
        return "text that a spreadsheet would calculate"
    if text != text.strip():
        return "text that begins or ends with a space"
    if any(link_fault(link) for link in _LINK.findall(text)):
        return "a link whose host is not plain: letters, digits, dots and dashes"
    return None


def link_fault(authority: str) -> bool:
    """Whether what stands between `//` and the path is more or other than a host: names and look-alikes lead elsewhere.

    Args:
        authority: Such as `example.org`, and what a sentence puts behind it.
    """
    return _HOST.fullmatch(authority.rstrip(_AROUND_LINKS)) is None


def _is_stacked(text: str) -> bool:
    marks = 0
    for letter in text:
        if not unicodedata.category(letter).startswith("M"):
            marks = 0
            continue
        marks += 1
        if marks > _MOST_MARKS or _STACKED.match(letter):
            return True
    return text[:1] != "" and unicodedata.category(text[0]).startswith("M")
