from __future__ import annotations

import time

import pytest

from sysu30k_bench.plain_toml import parse_toml, parse_value


def test_documents_and_values() -> None:
    assert parse_toml('a = 1\n[b]\nc = [1.5, "x.y.z"]\n') == {"a": 1, "b": {"c": [1.5, "x.y.z"]}}
    assert parse_value("[2, 3]") == [2, 3]
    assert parse_value("-9223372036854775808") == -(2**63)
    for text in ("some file.pth", "1\nb = 2", "", "9" * 10_000):
        with pytest.raises(ValueError, match=r".+"):
            parse_value(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 50_000 + "]" * 50_000, "nested too deeply"),
        ("a = " + "{b = " * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ("a = " + "[" * 40 + "]" * 40, "more than 32 deep"),
        ("a." * 40 + "b = 1", "more than 32 deep"),
        ("a." * 30_000 + "b = 1", "more than 256 dots"),
        ("[" + "a." * 30_000 + "b]", "more than 256 dots"),
        ("a = " + "9" * 10_000, "too many digits"),
        ("a = [{b = -" + "9" * 10_000 + "}]", "too many digits"),
        ("a = 0x" + "f" * 10_000, "more than 64 bits"),
        ("a = [[9223372036854775808]]", "more than 64 bits"),
        ("# " + "x" * (1 << 20), "characters"),
        ("a = ", "Invalid value"),
        ("a = 1\na = 2", "overwrite"),
    ],
)
def test_what_only_an_adversary_writes_is_refused_at_once(text: str, said: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=said):
        parse_toml(text)
    assert time.process_time() - started < 2
