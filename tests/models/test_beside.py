"""What a project writes beside its checkpoint is read; what makes no sense there is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.load import require_fit
from sysu30k_bench.models.matching.files_beside import with_files_beside
from tests.models.checkpoints import layumi, small_resnet

CARD = AdapterCard.model_validate(
    {
        "name": "x",
        "title": "X",
        "network": {"source": "torchvision:resnet18", "options": {"last_stride": 2}},
        "checkpoint": {
            "beside": [{"file": "opts.yaml", "read": {"stride": "network.last_stride", "h": "input.height"}}]
        },
    }
)


def beside(folder: Path, text: str | bytes) -> tuple[AdapterCard, list[str]]:
    (folder / "opts.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return with_files_beside(CARD, folder / "net.pth")


def test_values_are_taken_over_and_told(tmp_path: Path) -> None:
    card, said = beside(tmp_path, "stride: 1\nh: 384\nlr: 0.05\n")
    assert card.network.options == {"last_stride": 1}
    assert (card.input.height, card.input.width) == (384, 128)
    assert said == ["stride 1, h 384 as opts.yaml says"]


def test_without_the_file_the_card_stays_and_says_what_it_assumes(tmp_path: Path) -> None:
    card, said = with_files_beside(CARD, tmp_path / "net.pth")
    assert card == CARD
    assert said == ["no opts.yaml beside the checkpoint: stride, h assumed from the card"]


@pytest.mark.parametrize("text", ["stride: one\n", "stride: [1]\n", "stride: true\n", "- stride\n", "", "other: 1\n"])
def test_what_is_no_number_is_not_taken_and_said(tmp_path: Path, text: str) -> None:
    assert beside(tmp_path, text) == (CARD, ["opts.yaml has no number for stride, h: assumed from the card"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("h: 1\n", "invalid value"),
        ("a: [\n", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "is not YAML"),
        ("x" * 70_000, "too large"),
    ],
)
def test_hostile_and_broken_files_are_refused(tmp_path: Path, text: str | bytes, fault: str) -> None:
    with pytest.raises(IntegrityError, match=fault):
        beside(tmp_path, text)


@pytest.mark.parametrize("stride", ["0", "-3", "1.5", ".nan", ".inf", "10000000"])
def test_a_number_without_sense_is_named(tmp_path: Path, stride: str) -> None:
    with pytest.raises(IntegrityError, match=r"opts.yaml says stride: \S+, where a whole number from 1") as caught:
        beside(tmp_path, f"stride: {stride}\n")
    assert "remove opts.yaml" in str(caught.value.hint)


def test_the_stride_of_a_file_reaches_the_network(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "net_last.pth", "0" * 64, layumi(small_resnet()))
    plain = require_fit(find_card("resnet50_layumi"), file)
    assert any("no opts.yaml" in note for note in plain.notes)
    (tmp_path / "opts.yaml").write_text("stride: 1\n")
    told = require_fit(find_card("resnet50_layumi"), file)
    assert told.card.network.options["last_stride"] == 1
    assert told.card.fingerprint != plain.card.fingerprint
