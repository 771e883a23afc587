"""Numbers and articles as people write them."""

from __future__ import annotations


def count(number: int, one: str, several: str = "") -> str:
    """Says how many: `1 tensor`, `3,300 images`.

    Args:
        number: How many.
        one: What is said after the number 1; a whole phrase where its verb changes too.
        several: What is said after every other number; `one` with an s where empty.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def queries_without_match(number: int) -> str:
    """Says that some queries have no match, and what that means."""
    if number == 1:
        return "1 query has no match in the gallery and counts as a miss"
    return f"{number:,} queries have no match in the gallery and count as misses"


def with_article(word: str) -> str:
    """Puts `a` or `an` before a word, as it is spoken."""
    first = word[:1]
    return f"an {word}" if first.lower() in set("aeio") or word == "hf" else f"a {word}"
