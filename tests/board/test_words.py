"""Names that pass for each other, and words that may not stand on a board."""

from __future__ import annotations

import unicodedata

import pytest

from sysu30k_bench.board.checks.confusables import LIKE
from sysu30k_bench.board.checks.foreign_text import word_fault
from sysu30k_bench.board.checks.name_key import address_key, name_key
from sysu30k_bench.board.rows import published_rows

GREEK, CYRILLIC, CHEROKEE = "\u0399\u0399\u03f9\u0405", "\u0406\u0406\u0421\u0405", "\u13a0\u13c0\u13de"
SEEN_AS_ONE = [
    ("IICS", ["iics", "I I C S", "I-I_C\u2013S", "llCS", "1ICS", "IICS.", "(IICS)", GREEK, CYRILLIC, "\u2161CS"]),
    ("IICS", ["\uff29\uff29\uff23\uff33", "\U0001d408\U0001d408\U0001d402\U0001d412", "\u24beICS", "\u00cd\u00ceCS"]),
    ("IICS", ["II\u200bCS", "\u0131ICS", "\u04c0\u04c0\u0421S", "\u4e28ICS", "\u026a\u026acs", "\u0141ICS"]),
    ("DGL", [CHEROKEE, "\u00d0GL", "\u0110GL", "\U0001d403GL"]),
    ("MGN", ["\u043cGN", "\u041cG\u039d"]),
    ("MoCo v2", ["MoCov2", "moco-v2", "\u041c\u043e\u0421\u043e v\uff12", "MoCo v\u0662", "MoC0 v2", "MoCo v\u00b2"]),
    ("SimCLR", ["SirnCLR", "SimC1R"]),
    ("BYOL", ["BY\u00d8L", "B\u03a5OL", "\u0412YOL", "BY0L"]),
]


@pytest.mark.parametrize(("name", "others"), SEEN_AS_ONE)
def test_names_that_only_look_different_have_one_key(name: str, others: list[str]) -> None:
    assert {other: name_key(other) for other in others} == dict.fromkeys(others, name_key(name))


def test_names_that_are_different_keep_their_keys() -> None:
    names = [row.method for row in published_rows()]
    names += [
        "MGN+",
        "MoCo v3",
        "ResNet-101",
        "ResNet-5",
        "\u884c\u4eba",
        "\u884c\u4eba2",
        "Triplet*",
        "\u03b1-Net",
        "\u03b2-Net",
    ]
    assert len({name_key(name) for name in names}) == len(names)


def test_every_letter_of_the_table_is_seen_as_its_ascii_one() -> None:
    letters = [(letter, plain) for plain, found in LIKE.items() for letter in found]
    assert len({letter for letter, _ in letters}) == len(letters) > 400
    assert {plain for _, plain in letters} <= set("23456789abcdefghjklmnopqrstuvwxyz")
    for letter, plain in letters:
        assert name_key(f"x{letter}") == name_key(f"x{plain}"), unicodedata.name(letter)


def test_a_key_of_nothing_that_can_be_read() -> None:
    assert name_key("-_ \u2014") == name_key("") == ""


def test_letters_without_a_name_stay_what_they_are() -> None:
    assert name_key("a\ue000\U0003fffe") not in {name_key("a"), name_key("a\ue001")}


def test_addresses_are_told_by_letters_and_digits() -> None:
    one = address_key("https://www.github.com/wanggrun/SYSU-30k/")
    assert one == address_key("http://GitHub.com/wanggrun/SYSU-30k") == "githubcomwanggrunsysu30k"
    assert one != address_key("https://github.com/wanggrun/SYSU-31k")


HONEST = [
    "", "MoCo v2 (800 epochs)", "DGL+", "R\u00b2-Net, \u03bb = 0.5", "\u884c\u4eba\u91cd\u8bc6\u522b",
    "Nguy\u1ec5n V\u0103n A",
    "Jose\u0301 Nu\u0301n\u0303ez",
    "\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48", "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\u05e9\u05bc\u05c1\u05dc\u05d5\u05dd",
    "2,048 pooled features; 5 crops - none", "see https://github.com/wanggrun/SYSU-30k/issues/11, and (https://a.example:8080/x)",
    "a = b", "e-mail: me@example.org", "\u62a5\u544a https://example.org/\u8bba\u6587",
]  # fmt: skip


@pytest.mark.parametrize("text", HONEST)
def test_honest_words_may_stand(text: str) -> None:
    assert word_fault(text) is None


@pytest.mark.parametrize(
    "sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\u207a", "\u2212"]
)
@pytest.mark.parametrize("before", ["", " ", "  ", "'", '"', "' "])
def test_formulas_behind_blanks_and_quotes_and_in_other_forms(sign: str, before: str) -> None:
    assert word_fault(f"{before}{sign}1+1") == "text that a spreadsheet would calculate"


@pytest.mark.parametrize("before", ["a,", "a; ", "a'", 'a"', "a\uff0c"])
def test_formulas_in_a_second_cell(before: str) -> None:
    assert word_fault(f"{before}=1+1") == "text that a spreadsheet would calculate"


@pytest.mark.parametrize("number", [0x034F, 0x115F, 0x1160, 0x17B4, 0x180B, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100])
def test_nothing_to_see_is_a_fault(number: int) -> None:
    assert chr(number).isprintable()  # which is why it needs a rule
    assert word_fault(f"a{chr(number)}b") == "text with invisible or stacked characters"


def test_marks_are_counted_as_composition_leaves_them() -> None:
    stacked = "text with invisible or stacked characters"
    assert word_fault("e\u0301") is None
    assert word_fault("e\u0301\u0302\u0303") == word_fault("\u0301e") == word_fault("a \u0301") == stacked
    assert word_fault("\u0e17\u0e35\u0e48") is None
    assert word_fault("\u0e17\u0e35\u0e48\u0e48") == stacked


@pytest.mark.parametrize(
    "host", ["github.com@evil.example", "g\u0456thub.com", "-x.example", "", "a..\u3002b", "[::1]", "a.b:x"]
)
def test_hosts_that_are_not_plain(host: str) -> None:
    assert word_fault(f"see https://{host}/x") == "a link whose host is not plain: letters, digits, dots and dashes"
