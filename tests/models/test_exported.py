from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from torch import nn

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.evaluation.embedding.model import ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.formats.exported import exported_card, exported_digest, exported_kind, load_exported
from sysu30k_bench.models.formats.read import read_content

CPU = torch.device("cpu")
WEIGHT = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


class Linear(nn.Module):
    """The network that all files hold: channel means through a 5 x 3 matrix."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) @ torch.from_numpy(WEIGHT).T


def write_onnx(path: Path, batch: int | str) -> Path:
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", floats, [batch, 3, 32, 16])],
        [helper.make_tensor_value_info("features", floats, [batch, 5])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(WEIGHT.T), "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def write(folder: Path, kind: str) -> Path:
    if kind == "torchscript":
        torch.jit.trace(Linear(), torch.rand(2, 3, 32, 16)).save(str(folder / "m.pt"))
        return folder / "m.pt"
    path = write_onnx(folder / "m.onnx", 2 if kind.endswith("fixed") else "n")
    if kind.startswith("openvino"):
        openvino.save_model(openvino.convert_model(path), folder / "m.xml", compress_to_fp16=False)
        path.unlink()
        return folder / "m.xml"
    return path


@pytest.mark.parametrize("kind", ["onnx", "onnx fixed", "openvino", "openvino fixed", "torchscript"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_kind_runs_any_number_of_images(tmp_path: Path, kind: str, count: int) -> None:
    path = write(tmp_path, kind)
    plain = kind.partition(" ")[0]
    assert exported_kind(path) == plain
    network = load_exported(path, plain, CPU)
    assert network.size == (None if plain == "torchscript" else (32, 16))
    images = torch.rand(count, 3, 32, 16)
    assert torch.allclose(network(images), Linear()(images), atol=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript"])
def test_damaged_models(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IntegrityError, match="damaged or no"):
        load_exported(path, kind, CPU)
    with pytest.raises(DataError):
        load_exported(tmp_path / "nothing.onnx", "onnx", CPU)


def test_state_dicts_are_not_taken_for_models(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth")
    assert exported_kind(tmp_path / "w.pth") is None


def test_digest_is_of_both_files_of_an_ir(tmp_path: Path) -> None:
    path = write(tmp_path, "openvino")
    before = exported_digest(path)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert exported_digest(path) != before


def test_card_and_model_must_agree(tmp_path: Path) -> None:
    path = write(tmp_path, "onnx")
    ready = ready_model(ExportRequest(path), CPU)
    assert (ready.card.input.height, ready.card.input.width) == (32, 16)
    assert "--height" in ready.cautions[0]
    card = tmp_path / "c.toml"
    text = 'name = "c"\ntitle = "C"\n[network]\nsource = "onnx:checkpoint"\n[input]\nheight = 32\nwidth = 16\n'
    card.write_text(text)
    assert ready_model(ExportRequest(path, adapter=str(card)), CPU).cautions == []
    card.write_text(text.replace("32", "64"))
    with pytest.raises(UsageError, match="takes images of 32 x 16"):
        ready_model(ExportRequest(path, adapter=str(card)), CPU)
    for request in (
        ExportRequest(path, adapter="resnet50"),
        ExportRequest(path, model="torchvision:resnet18"),
        ExportRequest(path, feature="logits"),
        ExportRequest(path, random_weights=True),
        ExportRequest(path, compute="bf16"),
    ):
        with pytest.raises(UsageError):
            ready_model(request, CPU)


@pytest.mark.parametrize(
    ("channels", "scale", "expected"), [("rgb", "unit", (10, 20, 30)), ("bgr", "byte", (30, 20, 10))]
)
def test_channel_order_and_scale(channels: str, scale: str, expected: tuple[int, int, int]) -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images[0, :, 0, 0].tolist())
            return images.mean(dim=(2, 3))

    size = Input(height=16, width=16, channels=channels, scale=scale, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # type: ignore[arg-type]
    pixels = torch.tensor([10, 20, 30], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 16, 16)
    Embedder(Spy(), Feature(flip="none"), size)(pixels)
    divisor = 255 if scale == "unit" else 1
    assert seen[0] == pytest.approx([value / divisor for value in expected])


@pytest.mark.parametrize(("name", "rank1", "ap"), [("0286", 0.5, 0.443), ("0288", 0.3, 0.327)])
def test_real_openvino_networks(name: str, rank1: float, ap: float, openpeople: Path, tmp_path: Path) -> None:
    """Independent fp32 evaluation of Open Model Zoo's networks, where SYSU30K_TESTS_OMZ_REID names their folder."""
    folder = os.environ.get("SYSU30K_TESTS_OMZ_REID")
    if folder is None:
        pytest.skip("SYSU30K_TESTS_OMZ_REID does not name the folder of person-reidentification-retail-*.xml")
    from sysu30k_bench.evaluation import EvalRequest, evaluate
    from tests.test_docs import blocks

    (card,) = (block for block in blocks("docs/adapters.md", "toml") if "omz_reid_retail" in block)
    (tmp_path / "omz.toml").write_text(card)
    path = Path(folder) / f"person-reidentification-retail-{name}-FP16.xml"
    record, _ = evaluate(
        EvalRequest(ExportRequest(path, openpeople, adapter=str(tmp_path / "omz.toml"), output=tmp_path / "run"))
    )
    assert record is not None
    assert record.metrics.rank1.value == pytest.approx(rank1)
    assert record.metrics.ap_standard.value == pytest.approx(ap, abs=6e-4)


def test_a_model_of_small_images_is_refused_by_name(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "m.onnx", 2)
    network = load_exported(path, "onnx", CPU)
    network.size = (8, 8)
    with pytest.raises(UsageError, match="takes images of 8 x 8, which are none of people"):
        exported_card(path, "onnx", network)


def test_a_zip_without_its_directory_is_no_whole_model(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    torch.save({"a": torch.ones(2)}, path)
    path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK\1\3", 1))
    assert exported_kind(path) is None
    with pytest.raises(IntegrityError, match=r"m\.pth is cut off"):
        read_content(path)
