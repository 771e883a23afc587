"""The audit of a row: images picked by its digest are encoded again, and its committed embeddings searched again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from sysu30k_bench.board.confirmation import Audit, row_digest
from sysu30k_bench.board.merkle import merkle_root
from sysu30k_bench.board.rows import Evidence, Row
from sysu30k_bench.board.status import TOOL, row_of, today
from sysu30k_bench.board.submit import EVIDENCE
from sysu30k_bench.data.open import open_test_set
from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.embeddings.shard import read_shard
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import CheckFailedError, DataError, UsageError
from sysu30k_bench.evaluation.export_step import PreparedExport, export_step, prepare_export
from sysu30k_bench.evaluation.request import ExportRequest, SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.search_step import search_step
from sysu30k_bench.progress import Progress
from sysu30k_bench.ranks import Ranks
from sysu30k_bench.search.ranking import RANKING_NAME, Ranking, read_ranking

TOLERANCES = {"fp32": 1e-5, "bf16": 1e-3}
"""What a cosine may fall short of 1 by: devices round differently, by far less than that."""

_MISSED = 0.05
_SCORES_AGREE = 1e-9
_NAMED = 20


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and with what.

    Attributes:
        board: The board.
        row: Id of the row.
        run: The submitter's run folder: both manifests, and the shards.
        export: The submitter's checkpoint, the data, and the same card and options.
        by: Who audits.
        nonce: Text that the submitter could not know, such as a later commit; joined with the row's digest it picks.
        queries: Queries to encode again, and as many matches.
        distractors: Gallery images that are nobody's match.
    """

    board: Path
    row: str
    run: Path
    export: ExportRequest
    by: str
    nonce: str = ""
    queries: int = 100
    distractors: int = 100


@dataclass(frozen=True)
class AuditPlan:
    """What an audit will do.

    Attributes:
        request: What was asked.
        row: The row.
        evidence: What stands behind it.
        test_set: The lists, found on this disk to be the row's.
        stores: The committed embeddings.
        picks: Positions, ascending, by role.
        missing: Names of committed shards that are not there, by role.
    """

    request: AuditRequest
    row: Row
    evidence: Evidence
    test_set: TestSet
    stores: dict[Role, Store]
    picks: dict[Role, np.ndarray]
    missing: dict[Role, list[str]]

    @property
    def whole(self) -> bool:
        """Whether every committed shard is there, so that the ranking can be found again."""
        return not any(self.missing.values())

    @property
    def said(self) -> dict[str, object]:
        """The plan for people and programs: keys of the picked images, and shards that hold them or are missing."""
        return {
            "row": self.row.id,
            "nonce": self.request.nonce,
            "images": {role: [self.test_set.split(role).keys[at] for at in self.picks[role]] for role in ROLES},
            "shards": {role: sorted(_shards_of(self.stores[role], self.picks[role])) for role in ROLES},
            "missing": self.missing,
            "ranking_found_again": self.whole,
            "undetected": self.undetected,
        }

    @property
    def undetected(self) -> float:
        """The largest share of all queries whose embeddings could be forged and be missed with a chance of 5 %."""
        queries, sampled = len(self.test_set.query), len(self.picks["query"])
        forged = np.arange(queries + 1)
        missed = stats.hypergeom.pmf(0, queries, forged, sampled)
        return float(forged[missed >= _MISSED].max()) / queries


def plan_audit(request: AuditRequest, progress: Progress) -> AuditPlan:
    """Opens everything, holds it against the row, and picks the images.

    Args:
        request: What to audit.
        progress: Told of tars being indexed.

    Raises:
        CheckFailedError: Lists or embeddings are not those that the row commits to.
        DataError: Something is not there, or needed shards are missing; they are named.
        UsageError: The row is only reported, or a number makes no sense.
    """
    row, evidence = row_of(request.board, request.row)
    if request.export.data is None:
        raise UsageError("--data is missing: name the folder of the data set")
    stores = {role: _committed(request.run, role) for role in ROLES}
    digests = [shard.content_sha256 for role in ROLES for shard in stores[role].manifest.shards]
    if len(digests) != evidence.shards or merkle_root(digests) != evidence.shards_root:
        raise CheckFailedError(f"{request.run} does not hold the embeddings that {row.id} commits to")
    if any(shard.damaged for role in ROLES for shard in stores[role].manifest.shards):
        raise CheckFailedError(f"{request.run} left images out: it was never official")
    test_set = open_test_set(request.export.data, request.export.dataset, request.export.split, progress)
    for role in ROLES:
        listed = getattr(evidence, f"{role}_fingerprint")
        if test_set.split(role).fingerprint != listed:
            raise CheckFailedError(f"the {role} list below {request.export.data} is not that of {row.id}")
        if stores[role].identity.split != listed:
            raise CheckFailedError(f"the {role} embeddings in {request.run} are of another list than that of {row.id}")
    picks = _picked(test_set, hashlib.sha256(f"{row_digest(row)}\n{request.nonce}".encode()).digest(), request)
    missing = {
        role: [shard.file for shard in stores[role].manifest.shards if not (stores[role].folder / shard.file).is_file()]
        for role in ROLES
    }
    needed = {role: _shards_of(stores[role], picks[role]) for role in ROLES}
    lacking = [f"{role}/{name}" for role in ROLES for name in missing[role] if name in needed[role]]
    if lacking:
        raise DataError(
            f"{len(lacking)} shards of {request.run / 'embeddings'} hold picked images and are not there",
            details=lacking,
            hint="ask the submitter for them",
        )
    return AuditPlan(request, row, evidence, test_set, stores, picks, missing)


def audit(plan: AuditPlan, progress: Progress) -> Audit:
    """Encodes the picked images again, and searches the committed embeddings again where all are there.

    Args:
        plan: What `plan_audit` made.
        progress: Told of images and rows done.

    Returns:
        What was found; it is not yet written anywhere.

    Raises:
        CheckFailedError: The checkpoint is not the row's, embeddings are apart, or ranks are not the committed ones.
        BenchError: As `export` and `search`.
    """
    with tempfile.TemporaryDirectory(prefix="sysu30k-audit-") as name:
        folder = Path(name)
        prepared = _same_model(plan, folder / "again", progress)
        progress.say("reading the committed embeddings")
        committed = {role: _committed_rows(plan, role) for role in ROLES}
        tolerance = TOLERANCES[plan.stores["query"].identity.compute]
        progress.say(f"encoding {sum(map(len, plan.picks.values())):,} picked images again")
        export_step(prepared, progress)
        cosines = {role: _cosines(committed[role], Store.open(prepared.folder.embeddings(role))) for role in ROLES}
        apart = [
            f"{role} {key}: cosine {cosine:.6f}"
            for role in ROLES
            for key, cosine in cosines[role].items()
            if not 1 - cosine <= tolerance
        ]
        if apart:
            raise CheckFailedError(
                f"{len(apart)} of {sum(map(len, cosines.values()))} picked images have other embeddings than "
                f"{plan.row.id} commits to (cosine below 1 - {tolerance:g})",
                details=apart[:_NAMED],
            )
        if plan.whole:
            progress.say("searching the committed embeddings again")
            _search_again(plan, folder / "search", progress)
        else:
            progress.say(f"{sum(map(len, plan.missing.values()))} shards are not there: the ranking is not found again")
        return Audit(
            row=plan.row.id,
            row_sha256=row_digest(plan.row),
            by=plan.request.by,
            date=today(),
            tool=TOOL,
            device=prepared.device.type,
            nonce=plan.request.nonce,
            queries=len(plan.picks["query"]),
            distractors=len(plan.picks["gallery"]) - _matches(plan),
            lowest_cosine=min(cosine for found in cosines.values() for cosine in found.values()),
            tolerance=tolerance,
            searched=plan.whole,
        )


def _committed(run: Path, role: Role) -> Store:
    folder = run / "embeddings" / role
    if read_manifest(folder) is None:
        raise DataError(f"there is no manifest in {folder}", hint="an audit needs the submitter's run folder")
    return Store.open(folder)


def _picked(test_set: TestSet, seed: bytes, request: AuditRequest) -> dict[Role, np.ndarray]:
    """The images whose keys have the lowest digests: the same everywhere, and nobody's choice."""
    query, gallery = test_set.query, test_set.gallery
    relevant = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    chosen = _lowest(query.keys, np.unique(relevant.match_query), seed, request.queries)
    matches = relevant.match_position[np.isin(relevant.match_query, chosen)]
    others = np.setdiff1d(np.arange(len(gallery)), relevant.match_position)
    distractors = _lowest(gallery.keys, others, seed, request.distractors)
    return {"query": chosen, "gallery": np.union1d(matches, distractors)}


def _lowest(keys: Sequence[str], among: np.ndarray, seed: bytes, count: int) -> np.ndarray:
    order = sorted(among.tolist(), key=lambda position: hashlib.sha256(seed + keys[position].encode()).digest())
    return np.array(sorted(order[:count]), np.int64)


def _shards_of(store: Store, positions: np.ndarray) -> set[str]:
    return {store.manifest.shards[position // store.manifest.shard_rows].file for position in positions.tolist()}


def _matches(plan: AuditPlan) -> int:
    query, gallery = (plan.test_set.split(role).take(plan.picks[role]) for role in ROLES)
    relevant = relevance(query.person_ids, query.camera_ids, gallery.person_ids, gallery.camera_ids)
    return len(np.unique(relevant.match_position))


def _same_model(plan: AuditPlan, output: Path, progress: Progress) -> PreparedExport:
    identity = plan.stores["gallery"].identity
    test_set = replace(
        plan.test_set,
        query=plan.test_set.query.take(plan.picks["query"]),
        gallery=plan.test_set.gallery.take(plan.picks["gallery"]),
    )
    export = replace(
        plan.request.export, lists=test_set, output=output, compute=identity.compute, storage=identity.dtype
    )
    prepared = prepare_export(export, Ranks(), progress)
    found = prepared.identities["gallery"]
    faults = [
        f"{what}: {ours} here, {theirs} in the row"
        for what, ours, theirs in (
            ("weights", found.weights, plan.evidence.weights_sha256),
            ("card", f"{found.adapter} ({found.card})", f"{plan.evidence.adapter} ({plan.evidence.card_sha256})"),
        )
        if ours != theirs
    ]
    if faults:
        raise CheckFailedError(
            f"{export.checkpoint} with this card is not the model of {plan.row.id}",
            details=faults,
            hint=f"the row says adapter {plan.evidence.adapter}, feature {plan.evidence.feature}, "
            f"flip {plan.evidence.flip}",
        )
    return prepared


def _committed_rows(plan: AuditPlan, role: Role) -> np.ndarray:
    """Reads every committed shard that is there, and returns the embeddings of the picked images, (P, D) float64.

    The SHA-256 of each is computed: the checksum that a search goes by stands in the file, where a forger can set it.
    """
    store, positions, keys = plan.stores[role], plan.picks[role], plan.test_set.split(role).keys
    out = np.empty((len(positions), store.dimension))
    for entry in store.manifest.shards:
        if entry.file in plan.missing[role]:
            continue
        shard = read_shard(store.folder / entry.file, identity=store.identity.digest)
        if shard.content_digest != entry.content_sha256 or shard.first != entry.first:
            raise CheckFailedError(f"{store.folder / entry.file} is not the shard that {plan.row.id} commits to")
        if shard.key != keys[entry.first : entry.first + entry.rows]:
            raise CheckFailedError(f"{store.folder / entry.file} is of other images than the list")
        mine = (positions >= entry.first) & (positions < entry.first + entry.rows)
        out[mine] = shard.embedding[positions[mine] - entry.first]
    return out


def _cosines(committed: np.ndarray, again: Store) -> dict[str, float]:
    """Between the committed embeddings of the picked images and those made now, by key."""
    made = again.embeddings().astype(np.float64)
    if committed.shape != made.shape:
        raise CheckFailedError(f"embeddings have {made.shape[1]} dimensions now, {committed.shape[1]} were committed")
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (committed * made).sum(axis=1) / (np.linalg.norm(committed, axis=1) * np.linalg.norm(made, axis=1))
    return dict(zip(again.labels().key, found.tolist(), strict=True))


def _search_again(plan: AuditPlan, folder: Path, progress: Progress) -> None:
    folder.mkdir()
    (folder / "embeddings").symlink_to((plan.request.run / "embeddings").resolve(), target_is_directory=True)
    search_step(RunFolder(folder), SearchRequest(device=plan.request.export.device), progress)
    ours = read_ranking(folder / RANKING_NAME)
    theirs = read_ranking(plan.request.board / EVIDENCE / f"{plan.row.id}.csv")
    other = _other_ranks(ours, theirs)
    if other:
        raise CheckFailedError(
            f"the committed embeddings do not give the ranking of {plan.row.id}: {len(other)} queries differ",
            details=other[:_NAMED],
        )


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
