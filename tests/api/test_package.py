"""`import sysu30k_bench as sb`: light, complete, and the same to a reader, an editor and a type checker."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sysu30k_bench as sb
from sysu30k_bench.api.options import EvalOptions
from sysu30k_bench.cli.commands.evaluate import evaluate_command


def test_the_import_brings_nothing_heavy() -> None:
    code = (
        "import sys, sysu30k_bench as sb; dir(sb); sb.BenchError;"
        "print([name for name in ('torch', 'numpy', 'pandas', 'pydantic', 'click', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists_and_is_explained() -> None:
    assert dir(sb) == sorted(sb.__all__)
    for name in sb.__all__:
        value = getattr(sb, name)
        if name != "__version__":
            assert callable(value), name
            assert inspect.getdoc(value), name
    with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
        sb.evalute  # type: ignore[attr-defined]  # noqa: B018


def test_rooms_that_share_a_name_with_a_function_are_both() -> None:
    import sysu30k_bench.gate.gate
    import sysu30k_bench.search.score

    assert sysu30k_bench.search.score.TIE == 1e-12
    assert sysu30k_bench.gate.gate.Verdict
    assert list(inspect.signature(sb.search).parameters)[:3] == ["query", "gallery", "k"]
    assert list(inspect.signature(sb.gate).parameters)[:3] == ["new", "old", "max_drop"]
    assert str(sb.search.__doc__).startswith("Finds the k nearest gallery rows")


def test_evaluate_takes_all_that_the_command_takes_by_the_same_names() -> None:
    of_command = {str(option.name) for option in evaluate_command.params}
    own = {"checkpoint", "others", "data", "split", "dry_run", "as_json"}  # parameters, or of the terminal alone
    assert set(EvalOptions.__annotations__) == of_command - own


def test_every_error_is_one_of_ours_with_an_exit_code() -> None:
    kinds = (sb.CheckFailedError, sb.UsageError, sb.DataError, sb.IntegrityError)
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4]
    assert all(issubclass(kind, sb.BenchError) for kind in kinds)


def test_citations_are_those_of_the_citation_file() -> None:
    cff = (Path(__file__).parents[2] / "CITATION.cff").read_text("utf-8")
    text = sb.cite()
    assert sb.__version__ in text
    assert text.count("{") == text.count("}")
    for said in (
        "Weakly Supervised Person",
        "Differentiable Graphical Learning and a New Benchmark",
        "Guangrun",
        "2021",
    ):
        assert said in cff
        assert said in text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: sb.load_run(None), "the run is a NoneType; it is a path"),  # type: ignore[arg-type]
        (lambda: sb.compare(1, 2), "the run is an int"),  # type: ignore[arg-type]
        (lambda: sb.open_data(5), "path is an int"),  # type: ignore[arg-type]
        (lambda: sb.open_data(".", limit=0), "limit is 0"),
        (lambda: sb.open_data(".", dataset="market"), "there is no data set 'market'"),
        (lambda: sb.evaluate(len, 5, height=64), "data is an int"),  # type: ignore[arg-type, call-overload]
        (lambda: sb.evaluate(len, ".", split="al"), "split is 'al'"),  # type: ignore[arg-type, call-overload]
        (lambda: sb.evaluate(len, height=64), "data is missing"),  # type: ignore[arg-type, call-overload]
        (lambda: sb.search(None, [[1.0]]), "query is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_another_kind_are_named(call: Callable[[], object], said: str) -> None:
    with pytest.raises(sb.UsageError, match=said):
        call()
