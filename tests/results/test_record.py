from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.evaluation import EvalRequest, evaluate
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.results.record import Metric, read_record, record_schema
from sysu30k_bench.results.schema import SCHEMA_FILE


@pytest.fixture(scope="module")
def result(twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("run")
    evaluate(EvalRequest(ExportRequest(stripes_checkpoint, twin, output=output)))
    found: dict[str, Any] = json.loads((output / "result.json").read_text())
    return found


def test_published_schema_is_the_models() -> None:
    assert SCHEMA_FILE.read_text("utf-8") == record_schema(), "run `make schema`"


def test_a_real_result_fits_the_schema(result: dict[str, Any]) -> None:
    jsonschema.validate(result, json.loads(SCHEMA_FILE.read_text("utf-8")))


def test_fixed_names(result: dict[str, Any]) -> None:
    for name in ("rank1", "rank5", "rank10", "rank20", "ap_standard", "ap_trapezoid", "minp"):
        assert set(result["metrics"][name]) == {"value", "low", "high", "n"}
        assert result["metrics"][name]["n"] == 40
    assert {"query", "gallery", "matches", "tied"} <= set(result["counts"])
    assert result["official"] is False
    assert result["not_official_because"]
    assert {"warnings", "model", "protocol", "data", "environment", "cost"} <= set(result)


def change(result: dict[str, Any], path: str, value: object) -> str:
    copy = json.loads(json.dumps(result))
    *parents, last = path.split(".")
    place = copy
    for name in parents:
        place = place[name]
    place[last] = value
    return json.dumps(copy)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("surprise", 1),
        ("metrics.rank2", {"value": 0.1, "low": 0.1, "high": 0.1, "n": 1}),
        ("metrics.rank1.value", 1.5),
        ("metrics.rank1.value", "0.5"),
        ("metrics.rank1.value", float("nan")),
        ("metrics.rank1.value", True),
        ("metrics.rank1.low", 0.99999),
        ("counts.query", -1),
        ("counts.query", 3.5),
        ("official", True),
        ("data.query_fingerprint", "<script>"),
        ("schema_version", 2),
    ],
)
def test_what_is_no_record_is_refused(result: dict[str, Any], tmp_path: Path, path: str, value: object) -> None:
    (tmp_path / "result.json").write_text(change(result, path, value))
    with pytest.raises(IntegrityError, match="not an evaluation record"):
        read_record(tmp_path / "result.json")


def test_round_trip(result: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(result))
    record = read_record(tmp_path / "result.json")
    assert json.loads(record.model_dump_json()) == result
    with pytest.raises(DataError):
        read_record(tmp_path / "nothing.json")


def test_a_value_that_was_changed_is_noticed_and_an_old_record_is_taken(result: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(change(result, "cost.search_seconds", 7.25))
    with pytest.raises(IntegrityError, match="does not fit its digest") as caught:
        read_record(path)
    assert "score" in str(caught.value.hint)
    new = ("sha256", "ranking_sha256", "top_sha256")  # what records of earlier versions do not have
    path.write_text(json.dumps({name: value for name, value in result.items() if name not in new}))
    assert read_record(path).ranking_sha256 is None


def test_a_record_from_before_open_set_rates_is_read(result: dict[str, Any], tmp_path: Path) -> None:
    earlier = {name: value for name, value in result.items() if name not in {"open_set", "sha256"}}
    (tmp_path / "result.json").write_text(json.dumps(earlier))
    assert read_record(tmp_path / "result.json").open_set is None
    assert result["open_set"]["non_mated"] == 40
    assert "needs 100 non-mated searches" in result["open_set"]["not_computed"][1]


def test_a_metric_formats_as_its_value() -> None:
    metric = Metric(value=0.5, low=0.25, high=0.75, n=4)
    assert (f"{metric:.2f}", f"{metric:.1%}", float(metric)) == ("0.50", "50.0%", 0.5)
    assert "low=0.25" in f"{metric}"
