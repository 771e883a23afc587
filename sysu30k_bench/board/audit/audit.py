"""The audit of a row: images picked by its digest are encoded again, and its committed embeddings searched again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from sysu30k_bench.board.audit.committed_embeddings import Committed
from sysu30k_bench.board.audit.confirmation import LEAST_DISTRACTORS, LEAST_QUERIES, LIMITS, Findings
from sysu30k_bench.board.rows import Evidence
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.embeddings.features.reader import is_features_file
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import CheckFailedError, UsageError
from sysu30k_bench.evaluation.embedding.export_step import PreparedExport, export_step, prepare_export
from sysu30k_bench.evaluation.ranking.search_step import search_step
from sysu30k_bench.evaluation.request import ExportRequest, SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.search.engines.choose import choose_device, choose_engine
from sysu30k_bench.search.gallery import StoreGallery
from sysu30k_bench.search.norms import UNIT_TOLERANCE
from sysu30k_bench.search.ranking import RANKING_NAME, Ranking, read_ranking
from sysu30k_bench.search.search import block_rows_for, search
from sysu30k_bench.words import count

_MISSED = 0.05
_SCORES_AGREE = 1e-9
_NAMED, _IMPOSTORS = 20, 10


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and with what.

    Attributes:
        run: Run folder with manifests and all shards.
        ranking: The ranking that it is said to give.
        export: The checkpoint, the data, and the same card and options.
        seed: What the picks depend on: the row's digest and a nonce.
        queries: Queries to encode again, and as many matches.
        distractors: Gallery images that are nobody's match.
    """

    run: Path
    ranking: Path
    export: ExportRequest
    seed: str
    queries: int = LEAST_QUERIES
    distractors: int = LEAST_DISTRACTORS


@dataclass(frozen=True)
class AuditPlan:
    """What an audit will do.

    Attributes:
        request: The request.
        evidence: What the embeddings are held against.
        committed: The embeddings.
        picks: Positions, ascending, by role.
        distractors: How many of the gallery's picks are nobody's match.
        of_distractors: How many there are of those.
    """

    request: AuditRequest
    evidence: Evidence
    committed: Committed
    picks: dict[Role, np.ndarray]
    distractors: int
    of_distractors: int

    @property
    def test_set(self) -> TestSet:
        """The lists."""
        return self.committed.test_set

    @property
    def summary(self) -> dict[str, object]:
        """The plan for people and programs."""
        queries, distractors = self.undetected
        return {
            "images": {role: [self.test_set.split(role).keys[at] for at in self.picks[role]] for role in ROLES},
            "undetected_queries": queries,
            "undetected_distractors": distractors,
        }

    @property
    def undetected(self) -> tuple[int, int]:
        """How many queries, and how many distractors, could be forged and be missed with a chance of 5 % or more."""
        return (
            _undetected(len(self.test_set.query), len(self.picks["query"])),
            _undetected(self.of_distractors, self.distractors),
        )


def plan_audit(request: AuditRequest, evidence: Evidence, progress: Progress) -> AuditPlan:
    """Opens everything, holds it against the evidence, and picks the images.

    Args:
        request: What to audit.
        evidence: The row's evidence.
        progress: Told of tars being indexed.

    Raises:
        CheckFailedError: Lists or embeddings are not those that the evidence commits to.
        DataError: Something is missing.
        UsageError: No data is named, or fewer images asked for than an audit takes.
    """
    if request.export.data is None:
        raise UsageError("--data is missing: name the folder of the data set")
    if is_features_file(request.export.checkpoint):
        raise UsageError(
            f"{request.export.checkpoint} holds features: there is no network to encode images with again",
            hint="such a row can be re-scored, but not audited",
        )
    test_set = open_test_set(request.export.data, request.export.dataset, request.export.split, progress)
    committed = Committed.open(request.run, evidence, test_set)
    query, gallery = test_set.query, test_set.gallery
    relevant = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    others = np.setdiff1d(np.arange(len(gallery)), relevant.match_position)
    for asked, least, there, what in (
        (request.queries, LEAST_QUERIES, len(query), "queries"),
        (request.distractors, LEAST_DISTRACTORS, len(others), "distractors"),
    ):
        if asked < min(least, there):
            raise UsageError(f"{asked:,} {what} are too few", hint=f"an audit takes {min(least, there):,} or more")
    seed = request.seed.encode()
    chosen = _lowest(query.keys, np.unique(relevant.match_query), seed, request.queries)
    matches = relevant.match_position[np.isin(relevant.match_query, chosen)]
    distractors = _lowest(gallery.keys, others, seed, request.distractors)
    picks: dict[Role, np.ndarray] = {"query": chosen, "gallery": np.union1d(matches, distractors)}
    return AuditPlan(request, evidence, committed, picks, len(distractors), len(others))


def audit(plan: AuditPlan, progress: Progress) -> Findings:
    """Encodes the picked images again, and searches the committed embeddings again.

    Args:
        plan: What `plan_audit` made.
        progress: Told of images and rows done.

    Returns:
        What was found; it is not yet written anywhere.

    Raises:
        CheckFailedError: The checkpoint is not the row's, embeddings are apart or lean towards the matches, or ranks
            are not those that are claimed.
        BenchError: As `export` and `search`.
    """
    limits = LIMITS[plan.evidence.compute]
    with tempfile.TemporaryDirectory(prefix="sysu30k-audit-") as name:
        folder = Path(name)
        prepared = _same_model(plan, plan.picks, folder / "again", progress)
        progress.say("reading the committed embeddings")
        committed = {role: plan.committed.rows(role, plan.picks[role]) for role in ROLES}
        progress.say(f"encoding {sum(map(len, plan.picks.values())):,} selected images again")
        export_step(prepared, progress)
        fresh = {role: _fresh(Store.open(prepared.folder.embeddings(role)), committed[role]) for role in ROLES}
        distance = _apart(plan, committed, fresh, limits.distance)
        progress.say("searching the committed embeddings again")
        ranking = _search_again(plan, folder / "search", progress)
        impostors = impostors_of(plan, fresh["query"], progress)
        gains = _gains(plan, ranking, impostors, folder / "impostors", progress)
    lean, spread = float(gains.mean()), float(np.sqrt(np.square(gains).mean()))
    if not lean <= limits.lean:
        raise CheckFailedError(
            f"the committed embeddings are shifted towards the matches: margins are {lean:.2g} larger than those of "
            f"embeddings made now, on average; at most {limits.lean:g} is rounding"
        )
    if not spread <= limits.spread:
        raise CheckFailedError(
            f"the committed margins differ from those of embeddings made now by {spread:.2g} (root mean square); "
            f"rounding has no direction, and at most {limits.spread:g}"
        )
    return Findings(
        queries=len(plan.picks["query"]),
        of_queries=len(plan.test_set.query),
        distractors=plan.distractors,
        of_distractors=plan.of_distractors,
        impostors=len(np.unique(np.concatenate(impostors))),
        compute=plan.evidence.compute,
        distance=distance,
        lean=lean,
    )


def _undetected(of: int, sampled: int) -> int:
    forged = np.arange(of - sampled + 1)
    missed = stats.hypergeom.pmf(0, of, forged, sampled)
    return int(forged[missed >= _MISSED].max(initial=0))


def _lowest(keys: Sequence[str], among: np.ndarray, seed: bytes, count: int) -> np.ndarray:
    """Positions of the images whose keys have the lowest digests: the same everywhere, and nobody's choice."""
    order = sorted(among.tolist(), key=lambda at: hashlib.sha256(seed + b"\n" + keys[at].encode()).digest())
    return np.array(sorted(order[:count]), np.int64)


def _same_model(plan: AuditPlan, picks: Mapping[Role, np.ndarray], output: Path, progress: Progress) -> PreparedExport:
    evidence = plan.evidence
    test_set = replace(
        plan.test_set,
        query=plan.test_set.query.take(picks["query"]),
        gallery=plan.test_set.gallery.take(picks["gallery"]),
    )
    export = replace(
        plan.request.export,
        lists=test_set,
        output=output,
        compute=evidence.compute,
        storage=evidence.storage,
        backend="eager",  # whatever made the row: the limits are wider than what backends may differ by
    )
    prepared = prepare_export(export, Ranks(), progress)
    found = prepared.identities["gallery"]
    faults = [
        f"{what}: {ours} here, {theirs} in the row"
        for what, ours, theirs in (
            ("weights", found.weights, evidence.weights_sha256),
            ("card", f"{found.adapter} ({found.card})", f"{evidence.adapter} ({evidence.card_sha256})"),
        )
        if ours != theirs
    ]
    if faults:
        raise CheckFailedError(
            f"{export.checkpoint} with this card is not the model of the row",
            details=faults,
            hint=f"the row says adapter {evidence.adapter}, feature {evidence.feature}, flip {evidence.flip}",
        )
    return prepared


def _fresh(again: Store, committed: np.ndarray) -> np.ndarray:
    made = again.embeddings().astype(np.float64)
    if made.shape != committed.shape:
        raise CheckFailedError(f"embeddings now have shape {made.shape}; the committed ones have {committed.shape}")
    return made


def _apart(plan: AuditPlan, committed: dict[Role, np.ndarray], fresh: dict[Role, np.ndarray], limit: float) -> float:
    """The largest distance between an image's committed embedding and the one made now, norms included."""
    largest, apart, count = 0.0, [], 0
    for role in ROLES:
        keys = plan.test_set.split(role).keys
        distances = np.linalg.norm(committed[role] - fresh[role], axis=1) / np.linalg.norm(fresh[role], axis=1)
        for at, distance in zip(plan.picks[role].tolist(), distances.tolist(), strict=True):
            count += 1
            if not distance <= limit:
                apart.append(f"{role} {keys[at]}: distance {distance:.2g}")
            else:
                largest = max(largest, distance)
    if apart:
        raise CheckFailedError(
            f"{len(apart)} of {count} selected images have embeddings that differ from the committed ones "
            f"(distance over {limit:g})",
            details=apart[:_NAMED],
        )
    return largest


def impostors_of(plan: AuditPlan, fresh: np.ndarray, progress: Progress) -> list[np.ndarray]:
    """Finds the gallery images that come nearest to each picked query as it is encoded now, and are no match.

    Args:
        plan: The plan.
        fresh: (P, D) embeddings of the picked queries, made now.
        progress: Told of rows done.

    Returns:
        Gallery positions for each picked query, at most ten.
    """
    query, gallery = plan.test_set.query.take(plan.picks["query"]), plan.test_set.gallery
    relevant = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    store = plan.committed.stores["gallery"]
    work = float(len(fresh)) * len(gallery) * store.dimension
    engine, _ = choose_engine("auto", choose_device(plan.request.export.device), "auto", work)
    found = search(
        fresh.astype(store.identity.dtype),
        StoreGallery(store, gallery.keys),
        relevant,
        engine,
        top_k=_IMPOSTORS + int(relevant.match_counts.max()),
        block_rows=block_rows_for(SearchRequest().memory, len(fresh), store.dimension),
        unit_tolerance=UNIT_TOLERANCE[store.identity.dtype],
        progress=progress,
    )
    people = gallery.person_ids
    listed = [row[row >= 0] for row in found.top_position]
    return [row[people[row] != person][:_IMPOSTORS] for row, person in zip(listed, query.person_ids, strict=True)]


def _gains(
    plan: AuditPlan, ranking: Ranking, impostors: list[np.ndarray], output: Path, progress: Progress
) -> np.ndarray:
    """By how much the committed margin of each picked query exceeds that of embeddings made now.

    Rounding has no side, and in hundreds of dimensions hardly any of it points to an impostor. Embeddings that were
    each moved by less than the limit, but towards their matches or away from their impostors, have: so the nearest
    impostors are encoded again, too.
    """
    query, gallery = plan.test_set.query.take(plan.picks["query"]), plan.test_set.gallery
    relevant = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    positions = np.unique(np.concatenate([relevant.match_position, *impostors]))
    progress.say(f"encoding {count(len(positions), 'match', 'matches')} and nearest impostors again")
    prepared = _same_model(plan, {"query": plan.picks["query"], "gallery": positions}, output, progress)
    export_step(prepared, progress)
    asked, made = (Store.open(prepared.folder.embeddings(role)).embeddings().astype(np.float64) for role in ROLES)
    scores = asked @ made.T
    claimed = ranking.table.drop_duplicates("query").set_index("query")["margin"]
    gains = []
    for number, (key, others) in enumerate(zip(query.keys, impostors, strict=True)):
        matches = relevant.match_position[relevant.match_query == number]
        if len(matches) and len(others):
            best = scores[number, np.searchsorted(positions, others)].max()
            margin = scores[number, np.searchsorted(positions, matches)].max() - best
            gains.append(float(claimed[key]) - margin)
    return np.array(gains or [0.0])


def _search_again(plan: AuditPlan, folder: Path, progress: Progress) -> Ranking:
    folder.mkdir()
    (folder / "embeddings").symlink_to((plan.request.run / "embeddings").resolve(), target_is_directory=True)
    search_step(RunFolder(folder), SearchRequest(device=plan.request.export.device), progress)
    found = read_ranking(folder / RANKING_NAME)
    other = _other_ranks(found, read_ranking(plan.request.ranking))
    if other:
        raise CheckFailedError(
            "the committed embeddings do not give the claimed ranking: "
            f"{count(len(other), 'query differs', 'queries differ')}",
            details=other[:_NAMED],
        )
    return found


def _other_ranks(ours: Ranking, theirs: Ranking) -> list[str]:
    pair, integers = ["query", "match"], ["rank_low", "rank_high", "ranked"]
    joined = ours.table.merge(theirs.table, on=pair, how="outer", suffixes=("", "_row"), indicator=True)
    same = joined["_merge"] == "both"
    for name in integers:
        same &= (joined[name] == joined[f"{name}_row"]).fillna(joined[name].isna() & joined[f"{name}_row"].isna())
    for name in ("score", "margin"):
        mine, said = joined[name].to_numpy(float), joined[f"{name}_row"].to_numpy(float)
        same &= np.isclose(mine, said, rtol=0, atol=_SCORES_AGREE, equal_nan=True)
    return [str(query) for query in dict.fromkeys(joined.loc[~same, "query"])]
