"""From a request to a network: which card, which of the file's copies, which input, and what the user is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.evaluation.embedding.export_step import export_step, prepare_export
from sysu30k_bench.evaluation.embedding.model import TAKEN_FOR_GRANTED, ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent
from tests.models.checkpoints import other, small_resnet, trunk

CPU = torch.device("cpu")


@pytest.fixture
def trunk_file(tmp_path: Path) -> Path:
    torch.save(trunk(small_resnet()), tmp_path / "trunk.pth")
    return tmp_path / "trunk.pth"


def test_the_users_input_replaces_the_cards_and_is_part_of_its_fingerprint(trunk_file: Path) -> None:
    plain = ready_model(ExportRequest(trunk_file), CPU)
    assert (plain.card.name, plain.card.input.height, plain.card.input.width) == ("resnet_trunk", 256, 128)
    prints = {plain.card.fingerprint}
    changes: list[dict[str, Any]] = [
        {"height": 384},
        {"width": 64},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
        {"scale": "byte"},
        {"channels": "bgr"},
        {"interpolation": "bilinear"},
    ]
    for change in changes:
        changed = ready_model(ExportRequest(trunk_file, input=change), CPU)
        ((key, value),) = change.items()
        assert getattr(changed.card.input, key) == value
        assert changed.embedder.input == changed.card.input
        prints.add(changed.card.fingerprint)
    assert len(prints) == 1 + len(changes)
    flipped = ready_model(ExportRequest(trunk_file, flip="concat"), CPU)
    assert flipped.embedder(torch.zeros(1, 3, 256, 128, dtype=torch.uint8)).shape == (1, 128)
    assert flipped.card.fingerprint not in prints


def test_an_input_that_makes_no_sense_is_told_by_its_option(trunk_file: Path) -> None:
    for key, value in (("height", 3), ("scale", "percent")):
        with pytest.raises(UsageError, match=f"--{key}"):
            ready_model(ExportRequest(trunk_file, input={key: value}), CPU)


def test_a_trunk_without_a_method_is_told_of_and_one_with_a_card_that_was_named_is_not(trunk_file: Path) -> None:
    (caution,) = ready_model(ExportRequest(trunk_file), CPU).cautions
    assert "a trunk without classifier" in caution
    assert ready_model(ExportRequest(trunk_file, adapter="moco_v2"), CPU).cautions == []


def test_what_was_taken_for_granted_is_said_for_a_network_without_a_card(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "w.pth")
    ready = ready_model(ExportRequest(tmp_path / "w.pth", model="torchvision:resnet18"), CPU)
    assert ready.cautions == [TAKEN_FOR_GRANTED]


def test_of_several_copies_the_user_may_choose(tmp_path: Path) -> None:
    path, one, two = tmp_path / "c.pth", trunk(small_resnet()), other(trunk(small_resnet()))
    torch.save({"state_dict_ema": one, "state_dict": two}, path)
    ready = ready_model(ExportRequest(path), CPU)
    assert "state_dict_ema is used; --weights chooses another (state_dict)" in ready.cautions[-1]
    assert torch.equal(ready.embedder.trunk.state_dict()["conv1.weight"], one["conv1.weight"])
    raw = ready_model(ExportRequest(path, weights="raw"), CPU)
    assert not [said for said in raw.cautions if "several sets of weights" in said]
    assert torch.equal(raw.embedder.trunk.state_dict()["conv1.weight"], two["conv1.weight"])
    assert raw.coverage.layout_digest != ready.coverage.layout_digest
    for adapter in (None, "moco_v2"):
        with pytest.raises((UsageError, IntegrityError)):
            ready_model(ExportRequest(path, adapter=adapter, weights="teacher"), CPU)


def test_options_of_the_network_win_over_what_the_file_shows(trunk_file: Path) -> None:
    strided = ready_model(ExportRequest(trunk_file, network_options={"last_stride": 1}), CPU)
    assert strided.card.network.options["last_stride"] == 1
    assert strided.card.network.options["blocks"] == [1, 1, 1, 1]
    with pytest.raises((UsageError, IntegrityError)):
        ready_model(ExportRequest(trunk_file, network_options={"first_stride": 1}), CPU)


class ByCamera(nn.Module):
    """Adds a learnt vector for each of two cameras to the mean colour."""

    takes_camera = True

    def __init__(self, cameras: int = 2) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.eye(cameras, 3) * 50)

    def forward(self, images: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + self.offsets[cameras]


CAMERA_CARD = """
name = "by_camera"
title = "Takes the camera"
[network]
source = "python:tests.evaluation.test_model:ByCamera"
options = { cameras = CAMERAS }
[[checkpoint.layout]]
name = "by-camera"
requires = ["offsets"]
"""


def camera_request(folder: Path, data: Path, cameras: int, **options: object) -> ExportRequest:
    (folder / "card.toml").write_text(CAMERA_CARD.replace("CAMERAS", str(cameras)))
    torch.save(ByCamera(cameras).state_dict(), folder / "w.pth")
    adapter = str(folder / "card.toml")
    return ExportRequest(folder / "w.pth", data, output=folder / "run", adapter=adapter, **options)  # type: ignore[arg-type]


def test_a_network_of_fewer_cameras_than_the_data_set_stops_until_one_is_named(own_twin: Path, tmp_path: Path) -> None:
    seen = {int(camera) for role in ROLES for camera in open_test_set(own_twin).split(role).camera_ids}
    assert max(seen) > 1
    with pytest.raises(UsageError, match="takes the camera of each image and knows 1 cameras") as caught:
        prepare_export(camera_request(tmp_path, own_twin, 1), Ranks())
    assert "--camera" in str(caught.value.hint)
    named = prepare_export(camera_request(tmp_path, own_twin, 1, camera=1), Ranks())
    assert named.model.card.feature.camera == 1
    export_step(named, Silent())


def test_every_image_is_embedded_with_its_own_camera(own_twin: Path, tmp_path: Path) -> None:
    own = prepare_export(camera_request(tmp_path, own_twin, 9), Ranks())
    (tmp_path / "one").mkdir()
    one = prepare_export(camera_request(tmp_path / "one", own_twin, 9, camera=1), Ranks())
    assert one.model.card.fingerprint != own.model.card.fingerprint
    for prepared in (own, one):
        export_step(prepared, Silent())
    seen = set()
    for role in ROLES:
        cameras = open_test_set(own_twin).split(role).camera_ids
        theirs, first = (Store.open(prepared.folder.embeddings(role)).embeddings() for prepared in (own, one))
        assert np.isclose(theirs, first, atol=1e-6).all(axis=1).tolist() == (cameras == 1).tolist()
        seen |= set(cameras.tolist())
    assert len(seen) > 1
