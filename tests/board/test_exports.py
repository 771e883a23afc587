"""One row, readable everywhere: forms held to their owners' validators, or to a schema written here."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import util
from pathlib import Path

import jsonschema
import pytest
import yaml

from sysu30k_bench.board.forms.export import form_of_board, form_of_row
from sysu30k_bench.board.forms.in_toto import PREDICATE_TYPE, STATEMENT_TYPE
from sysu30k_bench.board.render import Board
from sysu30k_bench.board.rows import Row
from sysu30k_bench.errors import UsageError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.intervals import wilson
from tests.board.made import PUBLISHED, add_row, ranks_of
from tests.conftest import Outcome

hub = pytest.importorskip("huggingface_hub._eval_results")

# written from the published schema 0.3.0: what it requires of the parts that a row has
EVERY_EVAL = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info",
                 "eval_library", "evaluation_results"],
    "properties": {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": {"type": "string"},
        "evaluation_timestamp": {"type": "string"},
        "retrieved_timestamp": {"type": "string", "pattern": "^[0-9]+$"},
        "source_metadata": {
            "required": ["source_type", "source_organization_name", "evaluator_relationship"],
            "properties": {
                "source_type": {"enum": ["documentation", "evaluation_run"]},
                "evaluator_relationship": {"enum": ["first_party", "third_party", "collaborative", "other"]},
                "additional_details": {"additionalProperties": {"type": "string"}},
            },
        },
        "model_info": {
            "required": ["name", "id", "additional_details"],
            "properties": {
                "additional_details": {
                    "required": ["deployment_type", "model_availability"],
                    "properties": {
                        "deployment_type": {"enum": ["self_deployed", "externally_managed", "unknown"]},
                        "model_availability": {"enum": ["open_weights", "closed_weights", "unknown"]},
                    },
                    "additionalProperties": {"type": "string"},
                }
            },
        },
        "eval_library": {"required": ["name", "version"]},
        "evaluation_results": {
            "minItems": 1,
            "items": {
                "required": ["evaluation_name", "source_data", "metric_config", "score_details"],
                "properties": {
                    "source_data": {
                        "required": ["dataset_name", "source_type"],
                        "properties": {"additional_details": {"additionalProperties": {"type": "string"}}},
                    },
                    "metric_config": {"required": ["lower_is_better", "score_type", "min_score", "max_score"]},
                    "score_details": {
                        "required": ["score"],
                        "properties": {
                            "details": {"additionalProperties": {"type": "string"}},
                            "uncertainty": {
                                "properties": {"confidence_interval": {"required": ["lower", "upper"]}}
                            },
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    folder = tmp_path_factory.mktemp("exports")
    add_row(folder, "made", ranks_of(300, 1), "yes: [no] & {x}: #1", status="re-scored", date="2026-01-31")
    (folder / "rows" / "iics.json").write_bytes((PUBLISHED / "iics.json").read_bytes())
    return Board.open(folder)


def of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.id == name)


def test_the_hub_reads_eval_results(board: Board) -> None:
    for name in ("made", "iics"):
        row = of(board, name)
        data = yaml.safe_load(form_of_row(board, "eval-results", name, "owner/sysu-30k"))
        entries = hub.parse_eval_result_entries(data)
        assert all(isinstance(entry, hub.EvalResultEntry) for entry in entries)
        assert hub.eval_result_entries_to_yaml(entries) == data, "nothing that the hub does not know"
        rank1 = next(entry for entry in entries if entry.task_id == "rank1")
        assert (rank1.dataset_id, rank1.value) == ("owner/sysu-30k", pytest.approx(row.rank1 * 100))
        assert f"status {row.status}" in rank1.notes
        assert (row.evidence is not None) == ("ranking sha256 " in rank1.notes)
        assert rank1.date == row.date
    with pytest.raises(UsageError, match="no data set of the hub"):
        form_of_row(board, "eval-results", "made", "../x")


def test_every_task_of_a_result_is_one_of_the_benchmark(board: Board) -> None:
    made = yaml.safe_load(form_of_board(board, "eval-yaml"))
    assert {"name", "description", "evaluation_framework", "tasks"} <= made.keys()
    tasks = {task["id"] for task in made["tasks"]}
    results = yaml.safe_load(form_of_row(board, "eval-results", "made", "owner/name"))
    assert {one["dataset"]["task_id"] for one in results} <= tasks


def test_every_eval_ever_has_intervals_and_the_digest_of_the_ranking(board: Board) -> None:
    for name in ("made", "iics"):
        row = of(board, name)
        made = json.loads(form_of_row(board, "every-eval", name))
        jsonschema.validate(made, EVERY_EVAL)
        first = made["evaluation_results"][0]["score_details"]
        interval = first["uncertainty"]["confidence_interval"]
        expected = wilson(row.rank1 * row.n, row.n)
        assert (first["score"], interval["lower"], interval["upper"]) == pytest.approx(tuple(expected))
        digest = row.evidence.ranking_sha256 if row.evidence else None
        assert first.get("details", {}).get("ranking_sha256") == digest
        means = [one for one in made["evaluation_results"] if one["metric_config"]["metric_id"].startswith("ap_")]
        assert all(("uncertainty" in one["score_details"]) == (row.evidence is not None) for one in means)


@pytest.mark.skipif(util.find_spec("every_eval_ever") is None, reason="needs every-eval-ever (Python 3.12)")
def test_every_eval_ever_by_its_own_schema(board: Board) -> None:
    spec = util.find_spec("every_eval_ever")
    assert spec is not None
    assert spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "schemas" / "eval.schema.json").read_text("utf-8"))
    for name in ("made", "iics"):
        jsonschema.validate(json.loads(form_of_row(board, "every-eval", name)), schema)


def test_croissant_describes_the_data_set_without_images(board: Board, tmp_path: Path) -> None:
    content = form_of_board(board, "croissant")
    made = json.loads(content)
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert [file["contentUrl"] for file in made["distribution"]] == ["leaderboard.csv"]
    assert not [word for word in (".jpg", ".png", ".tar") if word in content.decode()]
    validator = pytest.importorskip("mlcroissant")
    (tmp_path / "leaderboard.csv").write_bytes(_table(board))
    (tmp_path / "croissant.json").write_bytes(content)
    found = validator.Dataset(jsonld=tmp_path / "croissant.json")
    assert not found.metadata.issues.errors
    assert not found.metadata.issues.warnings
    parts = {one["parts/part"]: one["parts/images"] for one in found.records("parts")}
    assert (parts["query"], parts["all"]) == (1000, 29_606_918)
    rows = list(found.records("leaderboard"))
    assert [row["leaderboard/id"] for row in rows] == [b"iics", b"made"]
    assert rows[0]["leaderboard/rank-1"] == pytest.approx(36.0)


def _table(board: Board) -> bytes:
    from sysu30k_bench.board.render import render

    return render(board)["leaderboard.csv"]


def test_only_what_somebody_else_computed_is_attested(board: Board) -> None:
    made = json.loads(form_of_row(board, "in-toto", "made"))
    assert (made["_type"], made["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in made["subject"]}
    assert digests == {name: sha256_of_file(board.folder / name) for name in ("rows/made.json", "evidence/made.csv")}
    assert made["predicate"]["result"] in {"PASSED", "WARNED", "FAILED"}
    assert made["predicate"]["configuration"][0]["digest"].keys() == {"sha256"}
    with pytest.raises(UsageError, match="nothing to attest"):
        form_of_row(board, "in-toto", "iics")


def test_as_commands(bench: Callable[..., Outcome], board: Board) -> None:
    at = ("--board", board.folder)
    done = bench("leaderboard", "export", "eval-results", "made", "--hub-dataset", "owner/name", *at)
    assert done.code == 0, done.err
    assert yaml.safe_load(done.out)[0]["dataset"] == {"id": "owner/name", "task_id": "rank1"}
    assert bench("leaderboard", "export", "croissant", *at).code == 0
    for wrong in (("eval-results", "made"), ("every-eval",), ("croissant", "made"), ("in-toto", "gone")):
        assert bench("leaderboard", "export", *wrong, *at).code == 2
