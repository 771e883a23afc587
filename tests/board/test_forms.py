"""Rows for other programs: the published schema, and the model-index of model cards."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from sysu30k_bench.board.model_index import model_index
from sysu30k_bench.board.render import stale_files, write_board
from sysu30k_bench.board.rows import published_rows, row_schema
from tests.board.made import add_row, ranks_of
from tests.board.test_render import row

ROWS = Path(__file__).parents[2] / "leaderboard" / "rows"


def test_every_row_fits_the_published_schema(tmp_path: Path) -> None:
    schema = json.loads(row_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    add_row(tmp_path, "made", ranks_of(100, 0))
    for path in [*ROWS.glob("*.json"), tmp_path / "rows" / "made.json"]:
        jsonschema.validate(json.loads(path.read_bytes()), schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rank1", 1.5), ("rank1", "0.2"), ("status", "verified"), ("id", "../x"), ("n", 0), ("surprise", 1)],
)
def test_the_schema_refuses_what_is_no_row(name: str, value: object) -> None:
    made = {**row("one", 0.2).model_dump(mode="json", exclude_none=True), name: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, json.loads(row_schema()))


def test_model_cards_can_read_a_row() -> None:
    for one in published_rows():
        card = yaml.safe_load(model_index(one))
        name, results = model_index_to_eval_results(card["model-index"])
        assert name == one.method
        first = results[0]
        assert (first.metric_type, first.metric_value) == ("rank1", pytest.approx(one.rank1 * 100))
        assert first.dataset_name == "SYSU-30k"
        assert first.metric_args["status"] == "reported"
        assert first.source_url is not None
        assert first.source_url.startswith(("https://github.com/wanggrun/SYSU-30k", "https://arxiv.org/abs/1904.03845"))
        assert {result.metric_type for result in results} == {
            score for score in ("rank1", "rank5", "rank10", "ap_trapezoid") if getattr(one, score) is not None
        }


def test_a_backed_row_names_the_lists_and_strange_words_stay_words(tmp_path: Path) -> None:
    made = add_row(tmp_path, "made", ranks_of(100, 0), "yes: [no] & {x}: #1", source="no link at all")
    assert made.evidence is not None
    card = yaml.safe_load(model_index(made))["model-index"][0]
    assert card["name"] == "yes: [no] & {x}: #1"
    (result,) = card["results"]
    assert result["dataset"]["revision"] == made.evidence.gallery_fingerprint
    assert "source" not in result


def test_the_form_of_a_row_that_is_gone_is_stale(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        add_row(tmp_path, name, ranks_of(100, seed))
    write_board(tmp_path)
    assert stale_files(tmp_path) == []
    (tmp_path / "rows" / "two.json").unlink()
    (tmp_path / "evidence" / "two.csv").unlink()
    assert "model-index/two.yml" in stale_files(tmp_path)
    write_board(tmp_path)
    assert stale_files(tmp_path) == []
    assert not (tmp_path / "model-index" / "two.yml").exists()
