from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.ranking import Ranking, make_ranking, read_ranking, top_table
from sysu30k_bench.search.search import search
from sysu30k_bench.search.top_list import read_top
from tests.conftest import unit_rows
from tests.search.oracle import all_scores


def small() -> tuple[Ranking, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(0)
    queries, gallery = unit_rows(rng, 4, 6), unit_rows(rng, 12, 6)
    persons = np.array([1, 1, 2, 3, -1, *[-1000] * 7])
    rel = relevance(np.array([1, 2, 3, 9]), np.array([2, 2, 1, 2]), persons, np.ones(12, int))
    result = search(queries, ArrayGallery(gallery), rel, TorchEngine(torch.device("cpu")), top_k=6)
    query_keys, gallery_keys = list("abcd"), [f'g,"{n}' for n in range(12)]
    ranking = make_ranking(result, rel, query_keys, gallery_keys, skipped=["e"])
    return ranking, all_scores(queries, gallery), top_table(result, rel, query_keys, gallery_keys, 3)


def test_rows_and_margins() -> None:
    ranking, scores, top = small()
    table = ranking.table
    assert table["query"].tolist() == ["a", "a", "b", "c", "d", "e"]
    assert table["match"].tolist() == ['g,"0', 'g,"1', 'g,"2', "", "", ""]
    assert table["ranked"].tolist() == [11, 11, 11, 10, 11, 12]
    assert ranking.unmatched == ["c", "d", "e"]
    ranked = np.delete(scores[0], 4)
    assert table["rank_low"][0] == 1 + (ranked > scores[0, 0]).sum()
    impostors = np.delete(scores[0], [0, 1, 4])
    assert table["margin"][0] == scores[0, 0] - impostors.max()
    assert top[top["query"] == "a"]["place"].tolist() == [1, 2, 3]
    assert set(top["match"]) <= {0, 1}


def test_csv_reads_back_to_the_same_bits(tmp_path: Path) -> None:
    ranking, _, _ = small()
    back = read_ranking(ranking.write(tmp_path))
    pd.testing.assert_frame_equal(back.table, ranking.table, check_dtype=False, check_exact=True)
    again = back.write(tmp_path / "again")
    assert again.read_bytes() == (tmp_path / "ranking.csv").read_bytes()


ROW = "q1,g1,1,1,5,0.5,0.1\n"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "q1,g1,0,1,5,0.5,0.1\n",
        "q1,g1,2,1,5,0.5,0.1\n",
        "q1,g1,1,6,5,0.5,0.1\n",
        "q1,g1,1.5,2,5,0.5,0.1\n",
        "q1,g1,1,1,5,nan,0.1\n",
        "q1,g1,1,1,5,inf,0.1\n",
        "q1,g1,1,1,5,0.5,inf\n",
        "q1,g1,1,1,5,0.5,1e300\n",
        "q1,g1,,,5,,\n",
        "q1,,1,1,5,0.5,0.1\n",
        ROW + ROW,
        ROW + "q1,,,,5,,\n",
        ",g1,1,1,5,0.5,0.1\n",
        "q1,g1,99999999999999999999999,1,5,0.5,0.1\n",
        "q1,g1,1,1,5\n",
        "q1,g1,1,1,-5,0.5,0.1\n",
        "q1,g1,1,1000000000000,1000000000000,0.5,0.1\n",
        "q1,g1,one,1,5,0.5,0.1\n",
        "\x00\x01\n",
    ],
)
def test_what_cannot_be_a_ranking_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "ranking.csv"
    path.write_text("query,match,rank_low,rank_high,ranked,score,margin\n" + body)
    with pytest.raises(IntegrityError, match="not a ranking"):
        read_ranking(path)


def test_names_that_look_like_missing_values_are_names(tmp_path: Path) -> None:
    path = tmp_path / "ranking.csv"
    path.write_text("query,match,rank_low,rank_high,ranked,score,margin\nNA,null,1,1,5,0.5,\nnan,,,,5,,\n")
    ranking = read_ranking(path)
    assert ranking.query_keys == ["NA", "nan"]
    assert ranking.unmatched == ["nan"]


def test_other_columns_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "ranking.csv").write_text("a,b\n1,2\n")
    with pytest.raises(IntegrityError, match="not a ranking"):
        read_ranking(tmp_path / "ranking.csv")
    with pytest.raises(DataError, match="no ranking"):
        read_ranking(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    "text", ["a," * 20_000, "query\n" + "a," * 20_000, "\n\n\n" + "a," * 20_000, '"' + "a" * 70_000 + '",b\n', '"a']
)
def test_thousands_of_columns_are_refused_before_pandas_counts_them(tmp_path: Path, text: str) -> None:
    for name in ("ranking.csv", "top.csv"):
        (tmp_path / name).write_text(text)
    with pytest.raises(IntegrityError, match="is not a ranking"):
        read_ranking(tmp_path / "ranking.csv")
    with pytest.raises(UsageError, match="is no list of the best images"):
        read_top(tmp_path)
