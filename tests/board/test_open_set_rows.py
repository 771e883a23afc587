"""Error rates at a threshold in rows: computed from the evidence, held against it, and omitted in older rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.board.checks.evidence import backing_faults
from sysu30k_bench.board.open_set_scores import open_set_scores
from sysu30k_bench.metrics.open_set.searches import searches_of
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.results.build import open_set_of
from sysu30k_bench.search.ranking import read_ranking
from tests.board.made import add_row, ranks_of, write_evidence


def test_a_row_without_them_stands_and_one_with_others_than_its_evidence_gives_does_not(tmp_path: Path) -> None:
    row = add_row(tmp_path, "alpha", ranks_of(310, 310))
    assert backing_faults(tmp_path, row) == []
    given = open_set_scores(read_ranking(tmp_path / "evidence" / "alpha.csv"))
    assert set(given) == {"fnir_at_fpir1", "fnir_at_fpir10"}
    assert backing_faults(tmp_path, row.model_copy(update=given)) == []
    (fault,) = backing_faults(tmp_path, row.model_copy(update={**given, "fnir_at_fpir1": 0.01}))
    assert fault.startswith("fnir_at_fpir1 is 0.01 and the evidence gives ")


def test_they_are_those_of_the_record_and_few_queries_have_none(tmp_path: Path) -> None:
    ranking = read_ranking(write_evidence(tmp_path / "all.csv", ranks_of(310, 1)))
    record = open_set_of(searches_of(ranking, per_query_metrics(ranking.query_keys, ranking.matched)))
    for name, value in open_set_scores(ranking).items():
        assert value == pytest.approx(getattr(record, name).value, abs=1e-12)
    assert open_set_scores(read_ranking(write_evidence(tmp_path / "few.csv", ranks_of(30, 1, queries=90)))) == {}
