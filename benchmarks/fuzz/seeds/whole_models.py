"""Whole models, small ones; and models that lead out of their folder or run code."""

# ruff: noqa: E501  data: one file of a stranger a line

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import nn

from benchmarks.fuzz.target import packed

CONFIG = {"model_type": "vit", "architectures": ["ViTModel"], "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 8, "image_size": 16, "patch_size": 8}  # fmt: skip


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.conv(images).mean(dim=(2, 3))
        return found


def _onnx() -> dict[str, bytes]:
    import onnx
    from onnx import TensorProto, helper

    def model(location: str | None, *, count: int = 6, size: tuple[int, ...] = (2, 3, 1, 1)) -> bytes:
        weight = TensorProto(name="w", data_type=1, dims=size)
        if location is None:
            weight.raw_data = b"\0" * 4 * count
        else:
            weight.data_location = TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", "0"), ("length", str(4 * count))):
                weight.external_data.add(key=key, value=value)
        ends = [
            helper.make_tensor_value_info(name, 1, shape)
            for name, shape in (("x", ["n", 3, 16, 16]), ("y", ["n", 2, 16, 16]))
        ]
        node = helper.make_node("Conv", ["x", "w"], ["y"])
        graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weight])
        made: bytes = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
        return made

    del onnx
    found = {"valid": {"model.onnx": model(None)}, "beside": {"model.onnx": model("w.bin"), "w.bin": b"\0" * 24}}
    for name, location in {"climbs": "../../secret.txt", "absolute": "/etc/passwd", "nul": "w\0.bin"}.items():
        found[name] = {"model.onnx": model(location, count=1, size=(1, 1, 1, 1))}
    found["link"] = {"model.onnx": model("w.bin", count=1, size=(1, 1, 1, 1)), "@w.bin": b"../../../secret.txt"}
    found["far"] = {"model.onnx": model("w.bin", count=1 << 40, size=(1 << 20, 1 << 20, 1, 1)), "w.bin": b"\0"}
    found["shape"] = {"model.onnx": model(None, size=(1 << 40, 1 << 40, 1, 1))}
    return {name: packed(files) for name, files in found.items()}


def _torch() -> tuple[dict[str, bytes], dict[str, bytes]]:
    net, image = _Net().eval(), torch.zeros(2, 3, 16, 16)
    made = io.BytesIO()
    torch.export.save(
        torch.export.export(net, (image,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},)), made
    )
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, image), script)
    evil = b"cfuzz_canary\nboom\n)R."
    exports = {"valid": made.getvalue()}
    for name, ending in {
        "samples": "sample_inputs/model.pt",
        "constants": "constants/opaque",
        "weights": "weight_0",
    }.items():
        exports[f"pickle-{name}"] = _with(made.getvalue(), ending, evil)
    exports["bomb"] = _with(made.getvalue(), "sample_inputs/model.pt", b"\0" * (256 << 20))
    return exports, {"valid": script.getvalue(), "pickle": _with(script.getvalue(), "data.pkl", evil)}


def _with(content: bytes, ending: str, body: bytes) -> bytes:
    """A zip whose member of an ending, or a new one, holds something else."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        found = False
        for info in old.infolist():
            hit = info.filename.endswith(ending)
            new.writestr(info.filename, body if hit else old.read(info))
            found = found or hit
        if not found:
            new.writestr(f"{old.namelist()[0].split('/')[0]}/data/{ending}", body)
    return made.getvalue()


def _transformers() -> dict[str, bytes]:
    from transformers import ViTConfig, ViTModel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ViTModel(
            ViTConfig(**{key: value for key, value in CONFIG.items() if key not in {"model_type", "architectures"}})
        ).save_pretrained(folder)
        whole = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    pickled = {"config.json": whole["config.json"], "pytorch_model.bin": b"\x80\x02cfuzz_canary\nboom\n)R."}

    def config(**changes: object) -> dict[str, bytes]:
        return whole | {"config.json": json.dumps(json.loads(whole["config.json"]) | changes).encode()}

    code = {"auto_map": {"AutoModel": "canary.Net", "AutoConfig": "canary.Config"}, "model_type": "mine"}
    found = {
        "valid": whole,
        "pickle": pickled,
        "code": config(**code) | {"canary.py": b"import fuzz_canary\n"},
        "wide": config(hidden_size=1 << 20, intermediate_size=1 << 20),
        "many-layers": config(num_hidden_layers=10**6),
        "name": config(_name_or_path="../../secret.txt", model_type="\x1b[2J"),
        "preprocessor": whole | {"preprocessor_config.json": b'{"size":{"height":1e999,"width":[]},"image_mean":"x"}'},
        "deep": whole | {"preprocessor_config.json": b"[" * 9999},
        "sizes": whole | {"preprocessor_config.json": b'{"crop_size":{"height":99999999,"width":99999999}}'},
        "link": {"config.json": whole["config.json"], "@model.safetensors": b"../../../secret.txt"},
        "index": {"config.json": whole["config.json"], "model.safetensors.index.json": b'{"metadata":{},"weight_map":{"a":"../../secret.txt"}}'},
    }  # fmt: skip
    return {name: packed(files) for name, files in found.items()}


def _openvino() -> dict[str, bytes]:
    import openvino

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.xml"
        openvino.save_model(openvino.convert_model(_Net().eval(), example_input=torch.zeros(2, 3, 16, 16)), path)
        text, weights = path.read_bytes(), path.with_suffix(".bin").read_bytes()
    entity = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "../../secret.txt">]><net name="&a;" version="11"></net>'
    )
    laughs = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><net name="&b;"/>'
    )
    cases = {"valid": (text, weights), "cut": (text, b""), "entity": (entity, b""), "laughs": (laughs, b""),
             "offset": (text.replace(b'offset="0"', b'offset="99999999999999"'), weights),
             "size": (text.replace(b'size="', b'size="9999999999'), weights)}  # fmt: skip
    return {name: packed({"model.xml": one, "model.bin": two}) for name, (one, two) in cases.items()}


def make() -> dict[str, dict[str, bytes]]:
    """Returns seeds by target and name."""
    exports, scripts = _torch()
    return {
        "onnx": _onnx(),
        "torchexport": exports,
        "torchscript": scripts,
        "transformers": _transformers(),
        "openvino": _openvino(),
    }
