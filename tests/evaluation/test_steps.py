from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.diagnostics.doctor import examine
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.evaluation import EvalRequest, evaluate
from sysu30k_bench.evaluation.embedding.export_step import export_step, prepare_export
from sysu30k_bench.evaluation.embedding.list_facts import require_matches
from sysu30k_bench.evaluation.environment import library_versions, peak_memory_bytes, processor_name, this_machine
from sysu30k_bench.evaluation.plan import plan
from sysu30k_bench.evaluation.ranking.search_step import search_step
from sysu30k_bench.evaluation.request import ExportRequest, SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder, default_run_folder
from sysu30k_bench.evaluation.score_step import score_step
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES, ExportNotes, read_notes
from sysu30k_bench.files import PARTIAL_SUFFIX
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from tests.sealing import reseal


@pytest.fixture
def run(own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> RunFolder:
    _, folder = evaluate(EvalRequest(ExportRequest(stripes_checkpoint, own_twin, output=tmp_path / "run")))
    return folder


def test_public_function_returns_what_it_writes(own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    record, folder = evaluate(EvalRequest(ExportRequest(stripes_checkpoint, own_twin, output=tmp_path / "run")))
    assert record is not None
    assert json.loads((folder.path / "result.json").read_text()) == json.loads(record.model_dump_json())
    assert record.health.same_image == 0
    assert record.environment.search.tool == record.environment.tool


def small_resnet18(folder: Path, data: Path) -> ExportRequest:
    """A request about a ResNet-18 of random weights on small images."""
    torch.save(resnet18(weights=None).state_dict(), folder / "r18.pth")
    size = {"height": 32, "width": 16}
    return ExportRequest(folder / "r18.pth", data, model="torchvision:resnet18", input=size, output=folder / "run")


def test_objects_passed_on_are_what_the_files_say(own_twin: Path, tmp_path: Path) -> None:
    """The steps of `eval` read nothing back; `score` reads everything, and must find the same."""
    request = EvalRequest(small_resnet18(tmp_path, own_twin), control=True)
    passed, folder = evaluate(request)
    read = score_step(folder)
    assert passed is not None
    assert read.control is not None
    assert read.model_dump(exclude={"created", "sha256"}) == passed.model_dump(exclude={"created", "sha256"})


def test_a_network_without_parameters_has_no_control(own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    request = EvalRequest(ExportRequest(stripes_checkpoint, own_twin, output=tmp_path / "run"), control=True)
    record, folder = evaluate(request)
    assert record is not None
    assert record.control is None
    assert not folder.control.path.exists()


class SecondOfTwo(Ranks):
    """Not the first process, and alone in what it is told."""

    first = False  # type: ignore[assignment]


def test_only_the_first_process_tidies_the_run_folder(run: RunFolder, own_twin: Path, stripes_checkpoint: Path) -> None:
    """Another would take away the file that the first one is writing."""
    unfinished = run.path / f".export.json-x{PARTIAL_SUFFIX}"
    unfinished.write_text("half of it")
    request = ExportRequest(stripes_checkpoint, own_twin, output=run.path)
    export_step(prepare_export(request, SecondOfTwo()), Silent())
    assert unfinished.exists()
    export_step(prepare_export(request, Ranks()), Silent())
    assert not unfinished.exists()


def test_files_of_a_run_are_bound_to_each_other(run: RunFolder) -> None:
    whole = (run.path / SEARCH_NOTES).read_bytes()
    for change in ({"stores": {"query": "0" * 64, "gallery": "0" * 64}}, {"ranking_sha256": "0" * 64}):
        (run.path / SEARCH_NOTES).write_bytes(whole)
        reseal(run.path / SEARCH_NOTES, **change)
        with pytest.raises(IntegrityError, match=r"ranks other|not the ranking"):
            score_step(run)
    reseal(run.path / SEARCH_NOTES, surprise=1)
    with pytest.raises(IntegrityError, match="damaged"):
        score_step(run)
    (run.path / SEARCH_NOTES).unlink()
    with pytest.raises(DataError, match="search"):
        score_step(run)


def test_query_and_gallery_of_two_models_are_not_searched(run: RunFolder) -> None:
    from tests.embeddings.stores import write_store

    rows = np.eye(6, 384, dtype=np.float32)
    folder = run.embeddings("query")
    for file in folder.iterdir():
        file.unlink()
    write_store(folder, rows, [f"q{n}" for n in range(6)], np.arange(6), np.full(6, 2), role="query")
    with pytest.raises(UsageError, match="not embedded by the same model") as caught:
        search_step(run, SearchRequest(), Silent())
    assert any(line.startswith("weights:") for line in caught.value.details)


def test_notes_are_strict(tmp_path: Path) -> None:
    (tmp_path / EXPORT_NOTES).write_text("{}")
    with pytest.raises(IntegrityError):
        read_notes(tmp_path / EXPORT_NOTES, ExportNotes, "export")
    with pytest.raises(DataError, match="run `sysu30k-bench export` first"):
        read_notes(tmp_path / "none.json", ExportNotes, "export")


@pytest.mark.parametrize(
    ("checkpoint", "name"),
    [("net_6.pth", "net_6-abcdef12"), ("my model (1).pt", "my-model-1-abcdef12"), ("...pth", "model-abcdef12")],
)
def test_run_folder_names(checkpoint: str, name: str) -> None:
    assert default_run_folder(Path("/x") / checkpoint, "abcdef1234") == Path("runs") / name


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked(), pytest.raises(DataError, match="another run"), RunFolder(tmp_path / "run").locked():
        pass
    with folder.locked():
        assert folder.path.is_dir()


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        ("top.csv", True),
        ("result.json", True),
        ("reranked", False),
        ("reranked/ranking.csv", True),
        ("embeddings/query", False),
        ("control/embeddings/gallery/manifest.json", True),
    ],
)
def test_what_stands_where_a_part_goes_is_told_before_the_work(tmp_path: Path, name: str, is_folder: bool) -> None:
    (tmp_path / "query").touch()  # of the user's own
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).mkdir() if is_folder else (tmp_path / name).touch()
    with pytest.raises(DataError, match=re.escape(f"cannot write {tmp_path / name}: ")) as refused:
        RunFolder(tmp_path).locked().__enter__()
    assert "out of the way" in str(refused.value.hint)


def test_errors_inside_the_lock_are_passed_on_as_they_are(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(OSError, match="mine"), folder.locked():
        raise OSError("mine")
    with folder.locked():
        pass


def test_plan_counts_the_control_and_writes_nothing(own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    request = ExportRequest(stripes_checkpoint, own_twin, output=tmp_path / "run", shard_rows=5)
    prepared = prepare_export(request, Ranks())
    single, double = (plan(prepared, SearchRequest(), control=control) for control in (False, True))
    assert (single.query, single.gallery, single.dimension, single.shards) == (6, 12, 384, 5)
    assert double.disk_bytes == 2 * single.disk_bytes == 2 * 18 * (384 * 4 + 64)
    assert double.shards == 10
    assert single.images_per_second > 0
    assert not (tmp_path / "run").exists()


def test_lists_without_any_match_are_refused(own_twin: Path) -> None:
    test_set = open_test_set(own_twin)
    test_set.query.table["person_id"] += 1000
    with pytest.raises(DataError, match="no query has a match"):
        require_matches(test_set)


def test_data_is_needed_for_a_checkpoint(stripes_checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        prepare_export(ExportRequest(stripes_checkpoint), Ranks())


def test_identity_lists_what_differs() -> None:
    values = {"weights": "a", "card": "c", "adapter": "x", "split": "0" * 64, "dataset": "sysu30k", "role": "gallery"}
    first, second = StoreIdentity(**values), StoreIdentity(**{**values, "weights": "b", "compute": "bf16"})  # type: ignore[arg-type]
    assert first.differences(second) == ["weights: b there, a now", "compute: bf16 there, fp32 now"]
    assert first.digest != second.digest
    assert first.digest == StoreIdentity(**values).digest  # type: ignore[arg-type]


def test_this_machine_is_described() -> None:
    machine = this_machine(torch.device("cpu"))
    assert machine.device == "cpu"
    assert machine.libraries["torch"] == torch.__version__.partition("+")[0]
    assert processor_name()
    assert peak_memory_bytes() > 10**7
    assert "faiss-cpu" in library_versions()


def test_doctor_tells_both_builds_of_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    from sysu30k_bench.diagnostics import doctor

    states = {finding.what: finding.state for finding in examine()}
    assert states["FAISS"] == "ok"
    monkeypatch.setattr(doctor, "_has", lambda name: name in {"faiss-cpu", "faiss-gpu"})
    assert next(finding for finding in examine() if finding.what == "FAISS").state == "bad"
    monkeypatch.setattr(doctor, "_has", lambda _name: False)
    assert next(finding for finding in examine() if finding.what == "FAISS").state == "note"
