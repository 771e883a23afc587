"""docs/ssl.md: its ten lines are run as they stand, and a bug in them is found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightly")
DOCUMENT = Path(__file__).parents[3] / "docs" / "ssl.md"


def example() -> str:
    found = re.search(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("", "", "not significantly different from the reference"),
        ("self.backbone(second)", "self.backbone(first)", "from the same weights, loss in step 1 differs by"),
    ],
)
def test_the_example_and_a_bug_in_it(right: str, wrong: str, said: str, capsys: Any) -> None:
    code = example().replace(right, wrong) if right else example()
    exec(compile(code, str(DOCUMENT), "exec"), {})  # noqa: S102  our own document
    assert said in capsys.readouterr().out


def test_it_is_short() -> None:
    body = example().partition("class ")[2].partition("print(")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 12
