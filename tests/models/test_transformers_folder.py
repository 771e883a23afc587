"""Folders as the transformers library saves them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from sysu30k_bench.errors import BenchError, IntegrityError, UsageError
from sysu30k_bench.evaluation.embedding.model import ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.models.formats.exported import exported_digest, exported_kind
from sysu30k_bench.models.formats.transformers_folder import TransformersTrunk

CPU = torch.device("cpu")
VIT = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def vit() -> Any:
    config = transformers.ViTConfig(**VIT, image_size=64, patch_size=16)
    return transformers.ViTForImageClassification(config)


def resnet() -> Any:
    config = transformers.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])
    return transformers.ResNetForImageClassification(config)


def dinov2() -> Any:
    config = transformers.Dinov2Config(**{**VIT, "mlp_ratio": 2}, image_size=56, patch_size=14)
    return transformers.Dinov2Model(config)


def clip() -> Any:
    vision = {**VIT, "image_size": 64, "patch_size": 16}
    return transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config={**VIT, "vocab_size": 99}))


def save(folder: Path, model: Any, processor: dict[str, object] | None = None) -> Path:
    model.eval().save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


Feature = Callable[[Any, torch.Tensor], torch.Tensor]
FEATURES: dict[str, tuple[Callable[[], Any], Feature, tuple[int, int]]] = {
    "ViT, class token": (vit, lambda m, x: m.vit(x).last_hidden_state[:, 0], (64, 64)),
    "ResNet, pooled": (resnet, lambda m, x: m.resnet(x).pooler_output.flatten(1), (256, 128)),
    "DINOv2, pooled": (dinov2, lambda m, x: m(x).pooler_output, (256, 128)),
    "CLIP, its vision tower": (clip, lambda m, x: m.vision_model(x).pooler_output, (64, 64)),
}


@pytest.mark.parametrize(("build", "feature", "size"), FEATURES.values(), ids=FEATURES)
def test_features_are_the_librarys_own(
    tmp_path: Path,
    build: Callable[[], Any],
    feature: Callable[[Any, torch.Tensor], torch.Tensor],
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    model = build()
    folder = save(tmp_path / "m", model, {"size": {"height": size[0], "width": size[1]}})
    assert exported_kind(folder) == "hf"
    ready = ready_model(ExportRequest(folder), CPU)
    assert (ready.card.input.height, ready.card.input.width) == size
    pixels = torch.rand(2, 3, *size)
    with torch.inference_mode():
        assert torch.allclose(ready.embedder.trunk(pixels), feature(model, pixels), atol=1e-5)


def test_input_is_what_the_processor_says(tmp_path: Path) -> None:
    said = {
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.1],
        "resample": 2,
        "crop_size": {"height": 64, "width": 64},
    }
    card = ready_model(ExportRequest(save(tmp_path / "m", vit(), said)), CPU).card
    assert card.input.mean == (0.5, 0.4, 0.3)
    assert card.input.std == (0.2, 0.2, 0.1)
    assert (card.input.interpolation, card.input.height, card.input.width) == ("bilinear", 64, 64)


@pytest.mark.parametrize("content", ["{", '{"image_mean": [1], "image_std": [1]}'])
def test_a_damaged_processor_is_told(tmp_path: Path, content: str) -> None:
    folder = save(tmp_path / "m", resnet())
    (folder / "preprocessor_config.json").write_text(content)
    with pytest.raises(IntegrityError, match="preprocessor_config"):
        ready_model(ExportRequest(folder), CPU)


def test_missing_and_truncated_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save(tmp_path / "m", resnet())
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: value for name, value in tensors.items() if "encoder" not in name}, path, {"format": "pt"})
    with pytest.raises(IntegrityError, match="do not fill its network") as caught:
        ready_model(ExportRequest(folder), CPU)
    assert any("encoder" in fault for fault in caught.value.details)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError):
        ready_model(ExportRequest(folder), CPU)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nothing-that-exists"}')
    with pytest.raises(UsageError, match="transformers makes no network"):
        ready_model(ExportRequest(tmp_path), CPU)
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}, "model_type": "vit-evil"}')
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UsageError, match="transformers makes no network"):
        ready_model(ExportRequest(tmp_path), CPU)


def test_digest_is_of_weights_and_config(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", resnet())
    before = exported_digest(folder)
    (folder / "README.md").write_text("words")
    assert exported_digest(folder) == before
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert exported_digest(folder) != before


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def test_code_in_pickled_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", resnet())
    (folder / "model.safetensors").unlink()
    torch.save({"encoder.weight": Bomb(tmp_path / "proof")}, folder / "pytorch_model.bin")
    with pytest.raises(BenchError, match="pickle") as caught:
        ready_model(ExportRequest(folder), CPU)
    assert caught.value.hint
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_an_index_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = save(tmp_path / "model", vit())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"a": name}}))
    with pytest.raises(IntegrityError, match="names files outside of its folder"):
        TransformersTrunk(folder)


def test_a_million_layers_are_refused_before_they_are_built(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", vit())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 10**6}))
    with pytest.raises(IntegrityError, match="num_hidden_layers is 1,000,000, as in no network"):
        TransformersTrunk(folder)
