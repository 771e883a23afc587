"""Names of networks, judged by the text of the package that has them: importing it would take seconds."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path

from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.extras import missing_package

_REGISTERED = re.compile(
    r"^@register_model\([^)]*\)\s*^(?:@[^\n]*\n)*def (\w+)|^@register_model\s+^def (\w+)", re.MULTILINE
)


def judge_network(source: str) -> None:
    """Judges the value of `--model`.

    Args:
        source: Such as `torchvision:resnet50`.

    Raises:
        UsageError: It is not of that form, or the package's source does not hold such a name.
        DataError: The package is not installed.
    """
    kind, _, name = source.partition(":")
    if re.fullmatch(r"(torchvision|timm|python):\S+", source) is None:
        raise UsageError(
            f"--model {source} is not SOURCE:NAME", hint="for example --model torchvision:resnet50 or timm:resnet50"
        )
    if kind == "python":
        _judge_python(name)
        return
    spec = importlib.util.find_spec(kind)
    if spec is None or spec.origin is None:
        raise missing_package(f"--model {source} needs {kind}", kind)
    text = "\n".join(
        path.read_text("utf-8", "replace") for path in sorted((Path(spec.origin).parent / "models").glob("*.py"))
    )
    # timm's names may have a tag of weights; both may know names that no decorator stands before
    if not text or re.search(rf"\b{re.escape(name.partition('.')[0])}\b", text):
        return
    known = sorted({found for pair in _REGISTERED.findall(text) for found in pair if found})
    close = difflib.get_close_matches(name.lower(), known, n=5)
    hint = f"did you mean {', '.join(close)}?" if close else "see the package's list of models"
    raise UsageError(f"{kind} has no network {name!r}", hint=hint)


def _judge_python(name: str) -> None:
    package = name.partition(":")[0].partition(".")[0]
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise DataError(
            f"cannot find python:{name}: there is no module {package!r}",
            hint="name it as python:package.module:callable; the package must be installed, or on PYTHONPATH",
        )
