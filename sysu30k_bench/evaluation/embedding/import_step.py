"""The first step for a features file: embeddings that were made elsewhere become a run's stores."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from sysu30k_bench.data.naming.names import Labels
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES, Role, Split, TestSet
from sysu30k_bench.data.subset import part_of
from sysu30k_bench.data.trees.folder import FolderTree
from sysu30k_bench.embeddings.features.reader import Features, LabelledFeatures, match_to_split, read_features
from sysu30k_bench.embeddings.features.stored import Stored, by_row
from sysu30k_bench.embeddings.identity import StoreIdentity, in_words
from sysu30k_bench.embeddings.manifest import read_manifest, refuse_other
from sysu30k_bench.embeddings.write import write_store
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.evaluation.embedding.list_facts import data_of, require_matches
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.evaluation.run_folder import RunFolder, default_run_folder
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, Exported, ExportNotes, write_notes
from sysu30k_bench.files import remove_partials, sha256_of_file
from sysu30k_bench.models.card import AdapterCard, Network
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import Model
from sysu30k_bench.words import count

OWN_LABELS = "own-labels"
"""Data set name of a run whose labels come from the features file itself."""


@dataclass(frozen=True)
class PreparedImport:
    """A features file, matched to the lists.

    Attributes:
        request: The request.
        test_set: The lists.
        card: The method, as named.
        embedding: (M, D) by role, in memory or left in the file.
        rows: (N,) row of `embedding` for each row of the split, by role; -1 where there is none.
        identities: Identity of each role's store.
        folder: The run folder.
        ranks: This process among those of the run.
    """

    request: ExportRequest
    test_set: TestSet
    card: AdapterCard
    embedding: dict[Role, np.ndarray | Stored]
    rows: dict[Role, np.ndarray]
    identities: dict[Role, StoreIdentity]
    folder: RunFolder
    ranks: Ranks

    @property
    def summary(self) -> str:
        """Returns the lines that are printed before the work starts."""
        width = count(self.embedding["gallery"].shape[1], "dimension")
        return f"adapter {self.card.name}, external embeddings, {width}"


def prepare_import(request: ExportRequest, ranks: Ranks, progress: Progress | None = None) -> PreparedImport:
    """Reads a features file and matches it to the lists by key.

    Raises:
        UsageError: The folder of the data set is not named, or a network was.
        IntegrityError: The file is damaged, lacks images, or holds some twice; they are named.
    """
    if request.model is not None or request.random_weights:
        raise UsageError("a features file has no network", hint="omit --model and --control")
    features = read_features(request.checkpoint)
    card = find_card(request.adapter) if request.adapter else _unnamed_card()
    if isinstance(features, LabelledFeatures):
        test_set, embedding, rows = _own_lists(request, features)
    else:
        test_set, embedding, rows = _matched(request, features, progress)
    require_matches(test_set)
    digest = sha256_of_file(request.checkpoint)
    identities = {
        role: StoreIdentity(
            weights=digest,
            card=card.fingerprint,
            adapter=card.name,
            split=test_set.split(role).fingerprint,
            dataset=test_set.dataset,
            role=role,
            dtype=request.storage,
            device="elsewhere",
            says=in_words({"weights": request.checkpoint.name, "split": count(len(test_set.split(role)), "image")}),
        )
        for role in ROLES
    }
    folder = request.output or default_run_folder(request.checkpoint, identities["gallery"].digest, request.above)
    return PreparedImport(request, test_set, card, embedding, rows, identities, RunFolder(folder), ranks)


def import_step(prepared: PreparedImport, progress: Progress | None = None) -> Exported:
    """Writes the stores and leaves `export.json`; in memory for a few shards, however large the file is.

    Args:
        prepared: What `prepare_import` made.
        progress: Told of rows written.

    Raises:
        UsageError: The folder holds embeddings of another model or data set.
        IntegrityError: The file is damaged; or some embeddings are zero, NaN or infinite, and the images are named.
        DataError: The folder cannot be written.
    """
    started = time.perf_counter()
    folder = prepared.folder
    if prepared.ranks.first:
        with folder.locked(), ExitStack() as opened:
            for role in ROLES:
                refuse_other(folder.embeddings(role), read_manifest(folder.embeddings(role)), prepared.identities[role])
            remove_partials(folder.path)
            files = {id(matrix): matrix for matrix in prepared.embedding.values()}
            by_number = {key: opened.enter_context(by_row(matrix, folder.path)) for key, matrix in files.items()}
            for role in ROLES:
                write_store(
                    folder.embeddings(role),
                    prepared.test_set.split(role),
                    by_number[id(prepared.embedding[role])],
                    prepared.rows[role],
                    prepared.identities[role],
                    progress,
                )
            notes = _notes(prepared, time.perf_counter() - started)
            write_notes(folder.path / EXPORT_NOTES, notes)
    prepared.ranks.gather(None)
    if not prepared.ranks.first:
        notes = _notes(prepared, time.perf_counter() - started)
    return Exported(notes, notes)


def _matched(
    request: ExportRequest, features: Features, progress: Progress | None
) -> tuple[TestSet, dict[Role, np.ndarray | Stored], dict[Role, np.ndarray]]:
    if request.data is None:
        raise UsageError("--data is missing: its lists contain the person in each image")
    test_set = open_test_set(request.data, request.dataset, request.split, progress)
    test_set = part_of(test_set, request.limit, request.distractors)
    found = {role: match_to_split(request.checkpoint, features, test_set.split(role).keys) for role in ROLES}
    missing = [key for role in ROLES for key in found[role][1]]
    if missing and not request.skip_damaged:
        raise IntegrityError(
            f"{request.checkpoint} lacks {count(len(missing), 'image')} of the lists",
            details=missing,
            hint="also embed these, or continue without them by --skip-damaged, which is never official",
        )
    if missing:
        lacking = count(len(missing), "image has", "images have")
        test_set.not_official.append(f"--skip-damaged: {lacking} no embedding (first: {missing[0]})")
    unknown = set(found["query"][2]) & set(found["gallery"][2])
    if unknown:
        rows = count(len(unknown), "row of the features file is", "rows of the features file are")
        test_set.warnings.append(f"{rows} of no image of the lists (first: {min(unknown)})")
    return test_set, dict.fromkeys(ROLES, features.embedding), {role: found[role][0] for role in ROLES}


def _own_lists(
    request: ExportRequest, features: LabelledFeatures
) -> tuple[TestSet, dict[Role, np.ndarray | Stored], dict[Role, np.ndarray]]:
    if request.data is not None:
        raise UsageError(
            f"{request.checkpoint} has labels but no keys, so its rows cannot be matched to images",
            hint="omit --data to score it by its own labels, or write a file with keys (docs/adapters.md)",
        )
    if request.limit is not None or request.distractors is not None:
        raise UsageError("--limit and --distractors select by key, but this file has no keys", hint="omit them")
    splits = {}
    for role in ROLES:
        own = features.labels[role]
        labels = [
            Labels(person, camera)
            for person, camera in zip(own.person_id.tolist(), own.camera_id.tolist(), strict=True)
        ]
        splits[role] = Split.of(role, [f"{role}/{number}" for number in range(len(labels))], labels)
    reason = "the labels are those of the features file, not of a list that could be checked"
    folder = request.checkpoint.parent
    test_set = TestSet(OWN_LABELS, folder, FolderTree(folder), splits["query"], splits["gallery"], [], [reason])
    embedding: dict[Role, np.ndarray | Stored] = {role: features.embedding[role] for role in ROLES}
    return test_set, embedding, {role: np.arange(len(embedding[role])) for role in ROLES}


def _unnamed_card() -> AdapterCard:
    return AdapterCard(name="features", title="embeddings made elsewhere", network=Network(source="features:external"))


def _notes(prepared: PreparedImport, seconds: float) -> ExportNotes:
    test_set, card = prepared.test_set, prepared.card
    skipped = {role: int((prepared.rows[role] < 0).sum()) for role in ROLES}
    return ExportNotes(
        model=Model(
            adapter=card.name,
            title=card.title,
            supervision=card.supervision,
            network="made elsewhere",
            checkpoint=prepared.request.checkpoint.name,
            weights_sha256=prepared.identities["gallery"].weights,
            card_sha256=card.fingerprint,
            layout="features file",
            feature="made elsewhere",
            flip="unknown",
            dimension=prepared.embedding["gallery"].shape[1],
            input="unknown",
            compute="fp32",
            storage=prepared.request.storage,
            parameters=0,
            tensors_loaded=0,
        ),
        data=data_of(test_set),
        warnings=[*test_set.warnings, "the embeddings were made elsewhere: only their ranking is this tool's"],
        not_official_because=list(dict.fromkeys(test_set.not_official)),
        images_embedded=0,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        processes=1,
        machine=this_machine(torch.device("cpu")),
        stores=prepared.folder.stores(),
        skipped_query=skipped["query"],
        skipped_gallery=skipped["gallery"],
    )
