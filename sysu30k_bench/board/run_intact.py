"""Whether a run folder still holds what its numbers were computed of: every shard, as the search read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sysu30k_bench.data.split import ROLES, Role
from sysu30k_bench.embeddings.manifest import MANIFEST_NAME, read_manifest
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES, ExportNotes, SearchNotes, read_notes
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import RESULT_NAME, EvaluationRecord
from sysu30k_bench.words import count

_SEARCH_AGAIN = "run `sysu30k-bench search` and `score` again"


def require_what_was_searched(run: Path, record: EvaluationRecord, progress: Progress) -> None:
    """Refuses a run whose embeddings and record are not those of its search; `read_ranking` holds the ranking to both.

    Every shard is read: a row commits to all of them, and an audit will ask for them.

    Args:
        run: A run folder.
        record: Its record.
        progress: Told of shards read.

    Raises:
        DataError: Embeddings or notes of a step are missing; missing shards are named.
        IntegrityError: They are not those that were searched, or the record is of others.
    """
    folder = RunFolder(run)
    for role in ROLES:
        manifest = read_manifest(folder.embeddings(role))
        if manifest is None or not manifest.complete:
            raise DataError(f"{run} holds no finished embeddings of the {role}", hint="run `sysu30k-bench eval` again")
    exported = read_notes(run / EXPORT_NOTES, ExportNotes, "export")
    searched = read_notes(run / SEARCH_NOTES, SearchNotes, "search")
    now = folder.stores()
    for role in ROLES:
        if now[role] != searched.stores.get(role) or now[role] != exported.stores.get(role):
            raise IntegrityError(
                f"{folder.embeddings(role) / MANIFEST_NAME} is not the one that was searched: the {role} was exported "
                "again, or changed",
                hint=_SEARCH_AGAIN,
            )
    if (exported.model, exported.data) != (record.model, record.data):
        raise IntegrityError(f"{run / RESULT_NAME} is of another export", hint="run `sysu30k-bench score` again")
    stores = {role: Store.open(folder.embeddings(role)) for role in ROLES}
    _require_the_records(stores, record)
    _require_every_shard(run, stores, progress)


def _require_the_records(stores: Mapping[Role, Store], record: EvaluationRecord) -> None:
    listed: dict[Role, str] = {"query": record.data.query_fingerprint, "gallery": record.data.gallery_fingerprint}
    for role, store in stores.items():
        identity, model = store.identity, record.model
        wanted = (
            listed[role],
            model.weights_sha256,
            model.card_sha256,
            model.compute,
            model.backend,
            model.storage,
            model.dimension,
        )
        found = (
            identity.split,
            identity.weights,
            identity.card,
            identity.compute,
            identity.backend,
            identity.dtype,
            store.dimension,
        )
        if found != wanted:
            raise IntegrityError(
                f"{store.folder} holds embeddings of another list, checkpoint or card than {RESULT_NAME} records",
                hint="run `sysu30k-bench eval` again, into another --output",
            )


def _require_every_shard(run: Path, stores: Mapping[Role, Store], progress: Progress) -> None:
    entries = [(role, shard) for role, store in stores.items() for shard in store.manifest.shards]
    missing = [f"{role}/{shard.file}" for role, shard in entries if not (stores[role].folder / shard.file).is_file()]
    if missing:
        lost = count(len(missing), f"shard of {run} is", f"shards of {run} are")
        raise DataError(
            f"{lost} not there",
            details=missing,
            hint="a row commits to all of them: restore them, or run `sysu30k-bench eval` again",
        )
    progress.begin("read the embeddings", len(entries), "shards")
    for store in stores.values():
        for _ in store.shards(recycle=True):
            progress.advance(1)
    progress.end()
