"""The first step: images to embeddings."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.data.subset import part_of
from sysu30k_bench.embeddings.export import ExportReport, ExportSettings, SplitJob, export_split
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.errors import IntegrityError, UsageError, plain
from sysu30k_bench.evaluation.embedding.backend_step import Chosen, settle_backend
from sysu30k_bench.evaluation.embedding.batch_size import default_batch
from sysu30k_bench.evaluation.embedding.list_facts import data_of, require_matches
from sysu30k_bench.evaluation.embedding.model import ReadyModel, described_input, ready_model
from sysu30k_bench.evaluation.embedding.speed import measure_speed
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.evaluation.run_folder import RunFolder, default_run_folder
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, Exported, ExportNotes, with_first_cost, write_notes
from sysu30k_bench.files import remove_partials
from sysu30k_bench.models.embedder import AVERAGED, probe_dimension
from sysu30k_bench.models.matching.fit import WHOLE_MODEL
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress, Silent
from sysu30k_bench.results.record import Model
from sysu30k_bench.search.engines.choose import choose_device
from sysu30k_bench.words import count

_WORTH_TELLING = 2000


@dataclass(frozen=True)
class PreparedExport:
    """Everything that an export needs, before it starts.

    Attributes:
        request: The request.
        test_set: The lists.
        model: The network.
        device: Where it runs.
        identities: Identity of each role's store.
        folder: The run folder.
        ranks: This process among those that share the work.
        backend: What runs the network.
        batch: Images in one forward pass.
    """

    request: ExportRequest
    test_set: TestSet
    model: ReadyModel
    device: torch.device
    identities: dict[Role, StoreIdentity]
    folder: RunFolder
    ranks: Ranks
    backend: Chosen
    batch: int

    @property
    def summary(self) -> str:
        """Returns the lines that are printed before the work starts."""
        model, feature = self.model, self.model.card.feature
        whole = model.coverage.layout == WHOLE_MODEL
        held = f"layout {model.coverage.layout}: {count(model.coverage.loaded, 'tensor')} loaded"
        taken = "the model's own output" if whole else f"feature {feature.kind}"
        lines = [
            f"adapter {model.card.name} ({model.found_by}), {'it holds its own network' if whole else held}",
            f"input {described_input(model.card)}; {taken}, flip {feature.flip}",
        ]
        lines += [self.backend.said] if self.backend.said else []
        lines += [f"assumed: {caution}" for caution in model.cautions]
        # a card's notes repeat its caution in other words
        lines += [f"note: {model.card.notes}"] if model.card.notes and not model.cautions else []
        return "\n".join(map(plain, lines))

    def job(self, role: Role, progress: Progress) -> SplitJob:
        """What of it concerns one role."""
        return SplitJob(
            self.test_set.split(role),
            self.test_set.images,
            self.model.embedder,
            self.folder.embeddings(role),
            self.identities[role],
            self.settings,
            progress,
        )

    @property
    def settings(self) -> ExportSettings:
        """How to export."""
        return ExportSettings(self.device, self.batch, self.request.workers, self.request.shard_rows, self.ranks)


def prepare_export(request: ExportRequest, ranks: Ranks, progress: Progress | None = None) -> PreparedExport:
    """Checks everything that can be checked before work starts; tars without an index get one.

    Raises:
        BenchError: Something is wrong with data, checkpoint, card or device.
    """
    if request.data is None and request.lists is None:
        raise UsageError("--data is missing: name the folder of the data set")
    device = choose_device(request.device, ranks.local_rank)
    tell = progress if progress is not None and ranks.first else Silent()
    if request.lists is None:
        tell.say(f"loading the lists of {request.data}")
    test_set = request.lists or open_test_set(request.data or Path(), request.dataset, request.split, progress)
    test_set = part_of(test_set, request.limit, request.distractors)
    require_matches(test_set)
    tell.say(f"loading {request.checkpoint}")
    model = ready_model(request, device)
    _require_cameras(model, test_set)
    # the folder's name must not depend on what `auto` finds, or an interrupted run would not be found again
    named = "eager" if request.backend == "auto" else request.backend
    gallery = model.identity(test_set.gallery, test_set.dataset, request, named)
    folder = request.output or default_run_folder(request.checkpoint, gallery.digest, request.above)
    batch = request.batch_size or default_batch(model.embedder, test_set, device)
    backend = settle_backend(request.backend, model.embedder, test_set, batch, folder, ranks, tell)
    identities = {role: model.identity(test_set.split(role), test_set.dataset, request, backend.name) for role in ROLES}
    return PreparedExport(request, test_set, model, device, identities, RunFolder(folder), ranks, backend, batch)


def export_step(prepared: PreparedExport, progress: Progress) -> Exported:
    """Embeds query and gallery, and writes `export.json`.

    Args:
        prepared: The result of `prepare_export`.
        progress: Receives the number of finished images.

    Raises:
        IntegrityError: Some images are damaged and `skip_damaged` was not asked for; all are named, and what could be
            embedded is kept.
        BenchError: Anything else that `export_split` refuses.
    """
    _tell_time(prepared, progress)
    with prepared.folder.locked() if prepared.ranks.first else nullcontext():
        reports = {role: export_split(prepared.job(role, progress)) for role in ROLES}
        return finished_export(prepared, reports)


def finished_export(prepared: PreparedExport, reports: dict[Role, ExportReport]) -> Exported:
    """Leaves `export.json` beside stores that are made; the folder is locked by the caller.

    Args:
        prepared: The result of `prepare_export`.
        reports: Of each role.

    Raises:
        IntegrityError: Some images are damaged and `skip_damaged` was not asked for.
    """
    folder = prepared.folder
    damaged = {key: reason for report in reports.values() for key, reason in report.damaged.items()}
    if damaged and not prepared.request.skip_damaged:
        raise IntegrityError(
            f"{count(len(damaged), 'image')} cannot be decoded; all others are embedded",
            details=[f"{key}: {reason}" for key, reason in damaged.items()],
            hint="restore them and run the same command again, or continue without them by --skip-damaged, "
            "which is never official",
        )
    now = written = _notes(prepared, reports)
    if prepared.ranks.first:
        remove_partials(folder.path)
        path = folder.path / EXPORT_NOTES
        written = with_first_cost(now, path)
        write_notes(path, written)
    # none continues to write into the folder while the first one still tidies it
    prepared.ranks.gather(None)
    return Exported(written, now)


def _tell_time(prepared: PreparedExport, progress: Progress) -> None:
    """Tells how long the images that no shard covers yet will take; a few are done before anybody has read it."""
    settings, test_set = prepared.settings, prepared.test_set
    left = {role: len(test_set.split(role)) - _covered(prepared, role) for role in ROLES}
    if not settings.ranks.first or sum(left.values()) < _WORTH_TELLING:
        return
    speed = measure_speed(test_set, prepared.model.embedder, prepared.device, settings.batch_size)
    if speed is None:
        return
    world = settings.ranks.world
    seconds = sum(speed.seconds(-(-number // world), settings.workers) for number in left.values())
    progress.say(
        f"{sum(left.values()):,} images to embed, about {timedelta(seconds=round(seconds))} "
        f"at {sum(left.values()) / seconds:,.1f} images/s, backend {prepared.backend.name}"
    )


def _covered(prepared: PreparedExport, role: Role) -> int:
    folder = prepared.folder.embeddings(role)
    manifest = read_manifest(folder)
    if manifest is None:
        return 0
    return min(manifest.rows, manifest.shard_rows * len(list(folder.glob("shard-*.h5"))))


def _require_cameras(model: ReadyModel, test_set: TestSet) -> None:
    """A network that is given cameras must know every camera of the data set, or be given one for all."""
    embedder = model.embedder
    if not embedder.takes_camera or embedder.feature.camera is not None:
        return
    known = model.card.network.options.get("cameras")
    seen = sorted({int(camera) for role in ROLES for camera in test_set.split(role).camera_ids})
    strange = [camera for camera in seen if camera < 1 or (isinstance(known, int) and camera > known)]
    if strange:
        raise UsageError(
            f"the network of adapter {model.card.name!r} takes the camera of each image and knows "
            f"{known or 'its own'} cameras; the data set has camera {strange[0]}",
            hint="name one camera of its training set for all images with --camera N; the result records it",
        )


def reasons_against(prepared: PreparedExport) -> list[str]:
    """Returns why a result could not be official, as far as is known before an image is read."""
    reasons = list(prepared.test_set.not_official)
    faults = prepared.model.coverage.faults
    if faults:
        reasons.append(f"--allow-partial: {prepared.model.coverage.gaps} (first: {faults[0]})")
    if prepared.request.random_weights:
        reasons.append("the network has random weights")
    return reasons


def _said_of_maps(model: ReadyModel) -> list[str]:
    """A network from outside that forgot to pool, or meant another pooling, is averaged."""
    source = model.card.network.source
    foreign = not source.startswith(("torchvision:", "timm:", "python:sysu30k_bench."))
    return [AVERAGED] if foreign and model.embedder.averages_maps else []


def _notes(prepared: PreparedExport, reports: dict[Role, ExportReport]) -> ExportNotes:
    test_set, model = prepared.test_set, prepared.model
    reasons = reasons_against(prepared)
    skipped = {role: len(reports[role].damaged) for role in ROLES}
    if any(skipped.values()):
        first = next(key for report in reports.values() for key in report.damaged)
        reasons.append(f"--skip-damaged: {count(sum(skipped.values()), 'image')} could not be decoded (first: {first})")
    return ExportNotes(
        model=_model(prepared),
        data=data_of(test_set),
        warnings=[*test_set.warnings, *model.cautions, *_said_of_maps(model)],
        not_official_because=list(dict.fromkeys(reasons)),
        images_embedded=sum(report.images for report in reports.values()),
        seconds=sum(report.seconds for report in reports.values()),
        peak_memory_bytes=peak_memory_bytes(),
        processes=prepared.ranks.world,
        machine=this_machine(prepared.device),
        stores=prepared.folder.stores(),
        skipped_query=skipped["query"],
        skipped_gallery=skipped["gallery"],
    )


def _model(prepared: PreparedExport) -> Model:
    model, card = prepared.model, prepared.model.card
    return Model(
        adapter=card.name,
        title=card.title,
        supervision=card.supervision,
        network=" ".join([card.network.source, *(f"{key}={value}" for key, value in card.network.options.items())]),
        checkpoint=model.checkpoint.path.name,
        weights_sha256=prepared.identities["gallery"].weights,
        card_sha256=card.fingerprint,
        layout=model.coverage.layout,
        feature=card.feature.kind + (" (full)" if card.feature.full_logits else ""),
        flip=card.feature.flip,
        dimension=probe_dimension(model.embedder, prepared.device),
        input=described_input(card),
        compute=prepared.request.compute,
        backend=prepared.backend.name,
        storage=prepared.request.storage,
        parameters=sum(parameter.numel() for parameter in model.embedder.trunk.parameters()),
        tensors_loaded=model.coverage.loaded,
        tensors_missing=model.coverage.faults,
        tensors_unused=model.coverage.unused,
    )
