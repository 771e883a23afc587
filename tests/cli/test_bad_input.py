"""What bad input gets: a message that names the file and the remedy, the right code, and nothing lost."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sysu30k_bench.models.networks.colour_stripes import ColourStripes
from tests.conftest import Outcome

Bench = Callable[..., Outcome]
IMAGES = "sysu_test_set_all"


def expect(outcome: Outcome, code: int, *said: str) -> None:
    assert outcome.code == code, (outcome.code, outcome.err)
    for text in said:
        assert text in outcome.err, outcome.err


def test_usage(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    expect(bench("evl"), 2, "Did you mean eval?")
    expect(bench("eval", stripes_checkpoint, "--data", twin, "--engin", "torch"), 2, "--engine")
    expect(bench("eval", stripes_checkpoint, "--data", twin, "--adapter", "dlg"), 2, "did you mean dgl")
    expect(bench("eval", stripes_checkpoint, "--data", twin, "--memory", "much"), 2, "write 2GB")
    expect(
        bench("eval", stripes_checkpoint, "--data", twin, "--adapter", "dgl", "--model", "timm:x"),
        2,
        "exclude each other",
    )
    expect(
        bench("eval", stripes_checkpoint, "--data", twin, "--full-logits", "--output", tmp_path / "r"), 2, "full_logits"
    )


def test_wrong_roots(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    expect(bench("eval", stripes_checkpoint, "--data", tmp_path / "no"), 3, "no folder")
    expect(
        bench("eval", stripes_checkpoint, "--data", tmp_path), 3, "not the root of a known test set", "it holds nothing"
    )
    expect(
        bench("eval", stripes_checkpoint, "--data", twin / IMAGES / "gallery"),
        3,
        f"--data {twin / IMAGES} looks like sysu30k",
    )


def test_empty_gallery_bad_names_and_no_match(bench: Bench, own_twin: Path, stripes_checkpoint: Path) -> None:
    images = own_twin / IMAGES
    odd = images / "gallery/0000others/selfie.jpg"
    odd.write_bytes(b"x")
    expect(bench("eval", stripes_checkpoint, "--data", own_twin), 3, "selfie.jpg", "rename")
    odd.unlink()
    for folder in images.glob("gallery/00002*"):
        shutil.rmtree(folder)
    expect(bench("eval", stripes_checkpoint, "--data", own_twin), 3, "no query has a match")
    shutil.rmtree(images / "gallery/0000others")
    expect(bench("eval", stripes_checkpoint, "--data", own_twin), 3, "no image in", "unpacked whole")


def test_query_without_a_match_is_named_counted_and_not_official(
    bench: Bench, own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    shutil.rmtree(own_twin / IMAGES / "gallery/000028313")
    outcome = bench("eval", stripes_checkpoint, "--data", own_twin, "--output", tmp_path / "r", "--json")
    assert outcome.code == 0
    assert outcome.json["counts"]["unmatched"] == 1
    assert outcome.json["metrics"]["rank20"]["value"] == pytest.approx(5 / 6)
    assert any("000028313_c2_2.jpg" in reason for reason in outcome.json["not_official_because"])


@pytest.mark.parametrize(
    "kind", ["pickle with code", "nothing but code", "truncated", "empty", "wrong width", "nan", "no network"]
)
def test_checkpoints(bench: Bench, twin: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pth"
    state = ColourStripes().state_dict()
    if kind == "pickle with code":
        path.write_bytes(pickle.dumps({"columns": _Evil(tmp_path / "proof"), "rows": np.ones(3)}))
    elif kind == "nothing but code":
        path.write_bytes(pickle.dumps(_Evil(tmp_path / "proof")))
    elif kind == "wrong width":
        torch.save({**state, "columns": torch.ones(7)}, path)
    elif kind == "nan":
        torch.save({**state, "columns": state["columns"] * float("nan")}, path)
    elif kind == "no network":
        torch.save({"some.weight": torch.ones(3)}, path)
    else:
        torch.save(state, path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if kind == "truncated" else b"")
    options = () if kind == "no network" else ("--adapter", "colour_stripes")
    outcome = bench("eval", path, "--data", twin, "--output", tmp_path / "r", *options)
    said = {
        "pickle with code": "which is not a tensor",
        "nothing but code": "would run code",
        "truncated": "is cut off",
        "empty": "is empty",
        "wrong width": "the file has (7,), the network has (32,)",
        "nan": "NaN or infinite",
        "no network": "no adapter knows",
    }[kind]
    expect(outcome, 2 if kind == "no network" else 4, str(path), said, "What to do:")
    assert not (tmp_path / "proof").exists()


class _Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def test_damaged_images(bench: Bench, own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    images, run = own_twin / IMAGES, tmp_path / "run"
    victims = [images / "gallery/0000others/0000others_c1_2.jpg", images / "query/000028312/000028312_c2_2.jpg"]
    contents = [victim.read_bytes() for victim in victims]
    victims[0].write_bytes(contents[0][:500])
    victims[1].write_bytes(b"")
    png = images / "gallery/0000others/0000others_c1_3.jpg"
    from PIL import Image

    Image.open(png).save(tmp_path / "x.png")
    shutil.move(tmp_path / "x.png", png)
    outcome = bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run)
    expect(
        outcome,
        4,
        "2 images cannot be decoded",
        "0000others_c1_2.jpg",
        "000028312_c2_2.jpg: the file is empty",
        "--skip-damaged",
    )
    skipped = bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run, "--skip-damaged", "--json")
    assert skipped.code == 0, skipped.err
    assert skipped.json["cost"]["images_embedded"] == 0
    assert skipped.json["counts"]["skipped_query"] == skipped.json["counts"]["skipped_gallery"] == 1
    assert skipped.json["metrics"]["rank1"]["n"] == 6
    assert any("--skip-damaged" in reason for reason in skipped.json["not_official_because"])
    for victim, content in zip(victims, contents, strict=True):
        victim.write_bytes(content)
    mended = bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run, "--json")
    assert mended.code == 0, mended.err
    assert mended.json["counts"]["skipped_gallery"] == mended.json["counts"]["unmatched"] == 0


def test_unwritable_output(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    expect(
        bench("eval", stripes_checkpoint, "--data", twin, "--output", tmp_path / "file" / "run"),
        3,
        "cannot write",
        "--output",
    )


def test_full_disk(twin: Path, stripes_checkpoint: Path, tmp_path: Path, bench: Bench) -> None:
    """A limit on the size of files stands for a disk that fills up: the write fails in the middle."""
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    )
    run = tmp_path / "run"
    options = ["eval", stripes_checkpoint, "--data", twin, "--output", run]
    expect(bench(*options, before=limit), 3, "cannot write", "shard-00000.h5")
    assert not list(run.rglob("*.partial"))
    assert bench(*options).code == 0


def test_shard_cut_in_half_is_made_anew(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("eval", stripes_checkpoint, "--data", twin, "--output", run, "--shard-rows", 30)
    assert bench(*options).code == 0
    ranking, shard = (run / "ranking.csv").read_bytes(), run / "embeddings/gallery/shard-00001.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    expect(bench("search", run), 4, "shard-00001.h5", "`eval` or `export` again")
    again = bench(*options, "--json")
    assert again.code == 0
    assert "computed again" in again.err
    assert again.json["cost"]["images_embedded"] == 30
    assert shard.read_bytes() == content
    assert (run / "ranking.csv").read_bytes() == ranking


def test_another_model_never_gets_these_embeddings(
    bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert bench("eval", stripes_checkpoint, "--data", twin, "--output", run).code == 0
    state = ColourStripes().state_dict()
    torch.save({**state, "columns": state["columns"] * 2}, tmp_path / "other.pth")
    expect(
        bench("eval", tmp_path / "other.pth", "--data", twin, "--output", run),
        2,
        "embeddings of another model or data set",
        "weights:",
    )
    expect(
        bench("eval", stripes_checkpoint, "--data", twin, "--output", run, "--flip", "none"),
        2,
        "flip: after_sum there, none now",
    )


def test_two_runs_in_one_folder(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with (run / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        expect(bench("eval", stripes_checkpoint, "--data", twin, "--output", run), 3, "another run is using")


def test_steps_out_of_order(bench: Bench, tmp_path: Path) -> None:
    expect(bench("search", tmp_path / "no"), 3, "no run folder")
    expect(bench("search", tmp_path), 3, "no embedding store", "export")
    expect(bench("score", tmp_path), 3, "no ranking")


def test_a_score_never_joins_an_old_ranking_with_new_embeddings(
    bench: Bench, own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    run, victim = tmp_path / "run", own_twin / IMAGES / "gallery/0000others/0000others_c1_2.jpg"
    content = victim.read_bytes()
    victim.write_bytes(b"")
    options = (stripes_checkpoint, "--data", own_twin, "--output", run)
    assert bench("eval", *options, "--skip-damaged").code == 0
    victim.write_bytes(content)
    assert bench("export", *options).code == 0
    expect(bench("score", run), 4, "ranks other embeddings", "run the search again")
    assert bench("search", run).code == 0
    assert bench("score", run).code == 0


def test_files_that_may_not_be_read(twin: Path, stripes_checkpoint: Path, tmp_path: Path, bench: Bench) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    locked = tmp_path / "w.pth"
    shutil.copy(stripes_checkpoint, locked)
    locked.chmod(0)
    expect(bench("eval", locked, "--data", twin), 3, "cannot read", "permissions")


def test_what_nobody_thought_of_is_a_bug_and_not_a_traceback(
    bench: Bench, twin: Path, stripes_checkpoint: Path
) -> None:
    fault = "import sysu30k_bench.evaluation.embedding.export_step as step; step.open_test_set = lambda *a: 1 / 0"
    done = bench("eval", stripes_checkpoint, "--data", twin, before=fault)
    expect(done, 70, "internal error: ZeroDivisionError", "SYSU30K_BENCH_TRACEBACK")


def test_what_the_system_refuses_is_no_internal_error(bench: Bench, twin: Path, stripes_checkpoint: Path) -> None:
    """A failed read does not name its file; the function that reads does."""
    words = ("eval", stripes_checkpoint, "--data", twin)
    named = "import sysu30k_bench.evaluation.embedding.export_step as step, errno\ndef fail(*a):\n    "
    fault = named + "raise OSError(errno.EROFS, 'Read-only file system', 'out/x')\nstep.open_test_set = fail"
    expect(bench(*words, before=fault), 3, "cannot read or write out/x: Read-only file system", "What to do")
    fault = named + "from pathlib import Path; place = Path('out/y'); raise OSError(errno.EIO, 'Input/output error')"
    expect(
        bench(*words, before=f"{fault}\nstep.open_test_set = fail"), 3, "out/y: Input/output error", "check the disk"
    )


def test_half_a_torchrun_environment(bench: Bench, twin: Path, stripes_checkpoint: Path) -> None:
    env = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "", "MASTER_PORT": ""}
    expect(bench("eval", stripes_checkpoint, "--data", twin, env=env), 2, "torchrun")
    expect(bench("eval", stripes_checkpoint, "--data", twin, env={**env, "RANK": "x"}), 2, "torchrun")
