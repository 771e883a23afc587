"""Files of every kind, whole and in the ways in which files are wrong, none of which passes in silence.

Names and shapes alone decide here, so that the tensors hold no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.load import load_embedder, require_fit
from sysu30k_bench.models.matching.blueprint import Blueprint
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.sources import build_trunk
from tests.models.checkpoints import State, as_file, hollow
from tests.models.write_layout import as_the_card_reads_it
from tests.models.zoo.rebuild import _Builder, description, names

WITHOUT_A_CASE = ["byol", "colour_stripes", "dgl", "mgn", "mgn_shared", "moco_v2", "resnet50", "simclr", "simclr_tf",
                  "tiny", "triplet"]  # fmt: skip
WHOLE_OBJECTS = {"strong_resnet50_whole_object"}
LOGITS = {"logits.weight": torch.ones(7, 2048), "logits.bias": torch.ones(7)}


@dataclass(frozen=True)
class Sound:
    """A file that is as it should be: the card that reads it, and one of the tensors that the network takes.

    Attributes:
        card: The card.
        file: The file.
        victim: A tensor's name in the file.
        inner: The same within its copy of the network, as other copies in the file have it.
    """

    card: AdapterCard
    file: CheckpointFile
    victim: str
    inner: str

    def with_tensors(self, tensors: Mapping[str, object]) -> CheckpointFile:
        """The same file with other tensors."""
        return CheckpointFile(self.file.path, "0" * 64, {**dict.fromkeys(self.file.flat.entries), **tensors})


class Hollow(_Builder):
    """Builds a case's file with tensors that have shapes and no numbers."""

    def _tensor(self, node: dict[str, Any]) -> torch.Tensor:
        if "value" in node:
            return super()._tensor(node)
        name = node["tensor"]
        if name not in self._made:
            self._made[name] = torch.zeros((), dtype=getattr(torch, node["dtype"])).expand(node["shape"])
        return self._made[name]


def sound(card: AdapterCard, file: CheckpointFile) -> Sound:
    fit = require_fit(card, file)
    assert fit.coverage.complete, fit.coverage.faults
    chosen = sorted(fit.tensors)[len(fit.tensors) // 2]
    victim = next(name for name, value in file.flat.tensors.items() if value is fit.tensors[chosen])
    return Sound(card, file, victim, victim[len(fit.prefix + fit.layout.take) :])


@cache
def of_card(name: str) -> Sound:
    card = find_card(name)
    with torch.device("meta"):
        trunk = build_trunk(card.network)
    state: State = {**trunk.state_dict(), **(LOGITS if card.feature.kind == "logits" else {})}
    assert Blueprint.of(card, trunk).trunk
    written = as_the_card_reads_it(card, state)
    return sound(card, as_file({key: hollow(value) for key, value in written.items()}))


@cache
def of_case(name: str) -> Sound:
    case = description(name)
    file = as_file(Hollow({}, {}).build(case["structure"]), case["file"])
    return sound(detect_card(file).card, file)


@pytest.fixture(params=[*WITHOUT_A_CASE, *(name for name in names() if name not in WHOLE_OBJECTS)])
def own(request: pytest.FixtureRequest) -> Sound:
    """A sound file of a card, or of a case of the zoo."""
    return of_card(request.param) if request.param in WITHOUT_A_CASE else of_case(request.param)


def load(own: Sound, tensors: Mapping[str, object]) -> None:
    file = own.with_tensors(tensors)
    load_embedder(require_fit(own.card, file), file)


def test_whole_and_under_data_parallel(own: Sound) -> None:
    wrapped = {f"module.{key}": value for key, value in own.file.flat.tensors.items()}
    fit = require_fit(own.card, own.with_tensors(wrapped))
    assert fit.coverage.complete
    assert fit.tensors.keys() == require_fit(own.card, own.file).tensors.keys()


def test_one_tensor_missing(own: Sound) -> None:
    left = {key: value for key, value in own.file.flat.tensors.items() if not key.endswith(own.inner)}
    with pytest.raises(IntegrityError, match=r"does not fill|has no place for"):
        load(own, left)


def test_one_tensor_too_many(own: Sound) -> None:
    if "." not in own.victim:
        pytest.skip("a network without parts has no inside")
    extra = own.victim.rpartition(".")[0] + ".unheard_of"
    tensors = {**own.file.flat.tensors, extra: torch.ones(3)}
    with pytest.raises(IntegrityError, match=r"does not fill|has no place for"):
        load(own, tensors)
    try:
        detected = detect_card(own.with_tensors(tensors))
    except UsageError:
        return
    assert detected.card.name == "nobody's"


def test_one_of_the_wrong_shape(own: Sound) -> None:
    changed = {
        key: torch.ones(3, 1, 4, 1, 5) if key.endswith(own.inner) else value
        for key, value in own.file.flat.tensors.items()
    }
    with pytest.raises(IntegrityError, match=r"does not fill|has no place for"):
        load(own, changed)
