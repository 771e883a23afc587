"""A forger's contest with the board: what is caught, what passes and why, and with which odds."""

# ruff: noqa: E501  names and rows as a forger writes them

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sysu30k_bench.board.audit.confirm import ConfirmRequest, plan_reproduction, plan_row_audit, reproduce_row
from sysu30k_bench.board.audit.confirmation import Audit, Findings, faults_of, row_digest
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.render import write_board
from sysu30k_bench.board.rows import parse_row
from sysu30k_bench.errors import CheckFailedError, UsageError
from sysu30k_bench.files import sha256_of_text
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.ranking import COLUMNS
from tests.board.bad import edit, put, rank
from tests.board.forged import twin
from tests.board.forging import Bench, board_of, done, forge, scored_anew
from tests.board.test_reproduce import as_official
from tests.sealing import retell

Change = Callable[[dict[str, list[np.ndarray]]], None]


def moved(places: tuple[int, int], columns: slice) -> Callable[[list[str]], list[str]]:
    """Exchanges a few columns of two lines of a ranking."""

    def change(lines: list[str]) -> list[str]:
        one, two = (lines[place].split(",") for place in places)
        one[columns], two[columns] = two[columns], one[columns]
        lines = list(lines)
        lines[places[0]], lines[places[1]] = ",".join(one), ",".join(two)
        return lines

    return change


# caught by the check


def test_a_copied_ranking_with_two_queries_exchanged_is_still_a_copy(board: Path) -> None:
    twin(shards_root=sha256_of_text("s"), weights_sha256=sha256_of_text("w"))(board)
    rank(moved((900, 901), slice(2, 7)), "twin")(board)
    assert any("behind rank 20, it has" in fault and "ranks of new-method" in fault for fault in check_board(board))


def test_a_correction_may_rank_most_queries_as_the_row_that_it_replaces(board: Path) -> None:
    twin(shards_root=sha256_of_text("s"), weights_sha256=sha256_of_text("w"))(board)
    rank(moved((900, 901), slice(2, 7)), "twin")(board)
    put("twin", corrects="new-method")(board)
    assert not any("behind rank 20" in fault for fault in check_board(board))


def test_copied_scores_with_other_ranks_are_still_a_copy(board: Path) -> None:
    twin(shards_root=sha256_of_text("s"), weights_sha256=sha256_of_text("w"))(board)
    low, high = COLUMNS.index("rank_low"), COLUMNS.index("rank_high")

    def better(lines: list[str]) -> list[str]:
        cells = [line.split(",") for line in lines[1:]]
        for one in cells:
            if int(one[low]) > 2:
                one[low] = one[high] = str(int(one[low]) - 1)
        return [lines[0], *map(",".join, cells)]

    rank(better, "twin")(board)
    assert any("scores, to the last bit, of new-method" in fault for fault in check_board(board))


def test_another_gallery_of_the_same_size_is_no_way_round_the_first_list(board: Path) -> None:
    twin(shards_root=sha256_of_text("s"), gallery_fingerprint=sha256_of_text("easier"))(board)
    assert any("another gallery than new-method, of the same size" in fault for fault in check_board(board))


@pytest.mark.parametrize(
    "name", ["N\u0435w M\u0435thod", "\U0001d5ed\U0001d5f2\U0001d604 Method".replace("\U0001d5ed", "\U0001d5e1"), "New\u2010Method",
             "New_Method", "NEW METHOD", "Nevv Method", "New Meth0d", "\uff2eew Method", "New Method.", "\u2115ew Method"],
)  # fmt: skip
def test_a_look_alike_of_a_name_is_that_name(board: Path, name: str) -> None:
    twin(shards_root=sha256_of_text("s"), weights_sha256=sha256_of_text("w"))(board)
    put("twin", method=name)(board)
    assert any("its name looks like that of new-method" in fault for fault in check_board(board)), ascii(name)


def test_the_claimant_audits_nothing(board: Path, run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    found = Findings(queries=100, of_queries=1000, distractors=1000, of_distractors=477_731, impostors=900, compute="fp32",
                     distance=0.0, lean=0.0)  # fmt: skip
    row = parse_row((board / "rows" / "new-method.json").read_bytes())
    who = {
        "row": row.id,
        "row_sha256": row_digest(row),
        "date": "2026-01-31",
        "tool": "t",
        "device": "cpu",
        "nonce": "12345678",
    }
    assert faults_of(row, Audit(by="a maintainer", found=found, **who)) == []
    assert faults_of(row, Audit(by="SOMEBODY", found=found, **who)) == ["the claimant of a row cannot audit it"]
    with pytest.raises(UsageError, match="claims this row"):
        plan_row_audit(replace(ask(run), by="Some\u200bbody".replace("\u200b", "")), Silent())


def test_a_confirmation_of_another_row_confirms_nothing(board: Path) -> None:
    row = parse_row((board / "rows" / "new-method.json").read_bytes())
    found = Findings(queries=100, of_queries=1000, distractors=1000, of_distractors=477_731, impostors=900, compute="fp32",
                     distance=0.0, lean=0.0)  # fmt: skip
    who = {
        "row": row.id,
        "row_sha256": row_digest(row),
        "date": "2026-01-31",
        "tool": "t",
        "device": "cpu",
        "nonce": "12345678",
    }
    confirmation = Audit(by="a maintainer", found=found, **who)
    for changes in ({"notes": "better"}, {"rank1": row.rank1 + 0.1}, {"id": "other"}, {"method": "Other"}):
        assert faults_of(row.model_copy(update=changes), confirmation)


def test_names_are_no_programs_of_latex_spreadsheets_or_pages(board: Path) -> None:
    name = r"\input{/etc/passwd} $x$ 99 % & #1 _a ^b ~ {"
    put(method=name, claimed_by='"; DROP', notes="{{ 7001*7 }} {% raw %} ${x}")(board)
    assert check_board(board) == []
    write_board(board, site=board / "site")
    tex = (board / "leaderboard.tex").read_text()
    assert r"\input" not in tex
    assert r"\textbackslash input" in tex
    assert "$x$" not in tex
    for path in (board / "site").rglob("*.html"):
        assert "49007" not in path.read_text()
    assert name in json.loads((board / "leaderboard.json").read_text())[-1]["method"] or name in (
        board / "leaderboard.json"
    ).read_text().encode().decode("unicode_escape")


# caught by an audit


def balanced(embeddings: dict[str, list[np.ndarray]]) -> None:
    """Every other query a little from its best impostor to its match, and the others back: no lean on average."""
    gallery, place = np.concatenate(embeddings["gallery"]), 0
    for embedding in embeddings["query"]:
        for number in range(len(embedding)):
            scores = gallery @ embedding[number]
            scores[place] = -1
            step = gallery[place] - gallery[scores.argmax()]
            embedding[number] += (1 if place % 2 else -1) * 0.0015 * step / np.linalg.norm(step)
            embedding[number] /= np.linalg.norm(embedding[number])
            place += 1


def impostors_away(embeddings: dict[str, list[np.ndarray]]) -> None:
    """The images that are nearest to the queries, and no match, each a little away from them."""
    queries = np.concatenate(embeddings["query"])
    gallery = np.concatenate(embeddings["gallery"])
    scores = queries @ gallery.T
    scores[np.arange(len(queries)), np.arange(len(queries))] = -1
    asked_by = {int(image): query for query, image in enumerate(scores.argmax(axis=1))}
    place = 0
    for embedding in embeddings["gallery"]:
        for image, query in asked_by.items():
            if place <= image < place + len(embedding):
                step = embedding[image - place] - queries[query]
                embedding[image - place] += 0.0015 * step / max(np.linalg.norm(step), 1e-9)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        place += len(embedding)


@pytest.mark.parametrize(
    ("change", "said"), [(balanced, "root mean square"), (impostors_away, "root mean|shifted towards")]
)
def test_small_steps_that_follow_the_ranking_are_found(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest], change: Change, said: str
) -> None:
    forge(run, change)
    scored_anew(bench, run)
    with pytest.raises(CheckFailedError, match=said):
        done(ask(run))


def test_exchanged_ranks_pass_the_check_and_no_audit(
    board: Path, bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]
) -> None:
    """Ranks, scores and margins of two queries exchanged: every total is as before, and nothing contradicts itself."""
    rank(moved((5, 900), slice(2, 7)))(board)
    assert check_board(board) == []
    path = run / "ranking.csv"
    lines = path.read_text().splitlines()
    worse = next(number for number, line in enumerate(lines[1:], 1) if line.split(",")[2] != "1")
    path.write_text("\n".join(moved((worse, 1 if worse != 1 else 2), slice(2, 7))(lines)) + "\n")
    retell(run)
    assert bench("score", run).code == 0
    with pytest.raises(CheckFailedError, match="do not give the claimed ranking"):
        done(ask(run))


# not caught, with its odds: docs/submitting.md says so


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, least in (("LEAST_QUERIES", 5), ("LEAST_DISTRACTORS", 7)):
        monkeypatch.setattr(f"sysu30k_bench.board.audit.audit.{name}", least)
        monkeypatch.setattr(f"sysu30k_bench.board.audit.confirmation.{name}", least)


def hide_winners(embeddings: dict[str, list[np.ndarray]]) -> None:
    """Images that alone are before a query's match become others: a few queries more are right."""
    queries, gallery = (np.concatenate(embeddings[role]) for role in ("query", "gallery"))
    scores = queries @ gallery.T
    own = scores[np.arange(40), np.arange(40)]
    behind = np.flatnonzero((scores > own[:, None]).any(axis=1))
    forged = list(dict.fromkeys((40 + scores[behind, 40:].argmax(axis=1)).tolist()))[:2]
    assert forged
    rng, place = np.random.default_rng(0), 0
    for embedding in embeddings["gallery"]:
        for winner in forged:
            if place <= winner < place + len(embedding):
                embedding[winner - place] = rng.permutation(embedding[winner - place])
        place += len(embedding)


@pytest.mark.usefixtures("few")
def test_distractors_that_were_chosen_well_pass_a_small_audit_and_not_a_whole_one(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]
) -> None:
    forge(run, hide_winners)
    scored_anew(bench, run)
    request = ask(run, queries=5, distractors=7)
    passed = 0
    for number in range(12):
        try:
            done(replace(request, nonce=f"nonce {number:04}"))
        except CheckFailedError:
            continue
        passed += 1
        break
    assert passed
    with pytest.raises(CheckFailedError, match="of 140 selected images"):
        done(replace(request, queries=40, distractors=60))


@pytest.mark.usefixtures("few")
def test_who_knows_the_nonce_grinds_the_picks(bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    """Texts of a row are free: with a nonce that is known beforehand, one in a few picks misses what was forged."""

    def mirror_half(embeddings: dict[str, list[np.ndarray]]) -> None:
        embeddings["query"][0][:10] = embeddings["query"][0][:10, ::-1]

    forge(run, mirror_half)
    scored_anew(bench, run)
    request = ask(run, queries=5, distractors=7)
    forged = {f"{key}" for key in plan_row_audit(replace(request, queries=40), Silent()).test_set.query.keys[:10]}
    keys = plan_row_audit(request, Silent()).test_set.query.keys
    for number in range(200):
        edit(request.board, lambda row, number=number: row.update(weights=f"epoch {number}"), "mine")  # type: ignore[misc]
        row = parse_row((request.board / "rows" / "mine.json").read_bytes())
        seed = f"{row_digest(row)}\n{request.nonce}".encode()
        picked = sorted(keys, key=lambda key: hashlib.sha256(seed + b"\n" + key.encode()).digest())[:5]
        if not forged & set(picked):
            break
    assert number < 100
    assert done(request).queries == 5
    found = 0
    for later in range(40):
        try:
            done(replace(request, nonce=f"a nonce of later {later}"))
        except CheckFailedError:
            found += 1
            break
    assert found


def test_a_copy_with_noise_reproduces_a_row(
    bench: Bench, honest_run: Path, run: Path, ask: Callable[..., ConfirmRequest], tmp_path: Path
) -> None:
    """A reproduction says that the weights give the ranks, and nothing about who computed anything."""

    def noise(embeddings: dict[str, list[np.ndarray]]) -> None:
        rng = np.random.default_rng(0)
        for parts in embeddings.values():
            for embedding in parts:
                embedding += rng.normal(0, 1e-6, embedding.shape).astype(embedding.dtype)
                embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)

    board = board_of(honest_run, tmp_path / "board")
    forge(run, noise)
    scored_anew(bench, run)
    request = replace(ask(as_official(run), board=board), by="an accomplice")
    assert reproduce_row(request, plan_reproduction(request, Silent()), Silent()).lost == 0


def missed(forged: int, sampled: int, of: int) -> float:
    """The chance that a sample has none of the forged ones."""
    return float(stats.hypergeom.pmf(0, of, forged, sampled))


def test_the_odds_in_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "submitting.md").read_text()
    for forged, sampled, of in ((1, 100, 1000), (10, 100, 1000), (28, 100, 1000), (50, 100, 1000), (50, 300, 1000),
                                (60, 1000, 477_731), (1427, 1000, 477_731), (60, 24_000, 477_731)):  # fmt: skip
        assert f"| {forged:,} of {of:,} | {sampled:,} | {missed(forged, sampled, of) * 100:.2g} % |" in text
    expected = {
        runs: stats.norm.expect(lambda x, n=runs: n * x * stats.norm.cdf(x) ** (n - 1)) for runs in (5, 10, 100)
    }
    said = ", ".join(f"{value:.2f} for {runs}" for runs, value in expected.items())
    assert said in text
