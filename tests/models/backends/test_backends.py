"""Every backend gives the network's own embeddings, up to rounding, for every kind of network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.resnet import BasicBlock, ResNet

from sysu30k_bench.models.backends.agreement import cosine_distance
from sysu30k_bench.models.backends.contract import BackendRefusal, Job, of_one_size
from sysu30k_bench.models.backends.registry import BACKENDS, NAMES, refusal_of, use_backend
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder

SIZE = Input(height=32, width=16)


class Ibn(nn.Module):
    """Half of the channels by instance norm, half by batch norm, as IBN-a."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.batch = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(16, 24, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(24)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        one, other = self.first(images).chunk(2, dim=1)
        joined = torch.cat([self.instance(one), self.batch(other)], dim=1).relu()
        return self.norm(self.second(joined)).relu()


class Scales(nn.Module):
    """Streams of several depths under one shared gate, as in OSNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.streams = nn.ModuleList(
            nn.Sequential(*(self._lite() for _ in range(depth)))  # each a pointwise and a depthwise convolution
            for depth in (1, 2, 3)
        )
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))

    def _lite(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(16, 16, 1, bias=False),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        base = self.stem(images)
        gated = [stream(base) * self.gate(stream(base)).sigmoid() for stream in self.streams]
        return nn.functional.normalize((base + sum(gated)).mean(dim=(2, 3)))


def _resnet() -> nn.Module:
    network = ResNet(BasicBlock, [1, 1, 1, 1])
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def _vit() -> nn.Module:
    network = VisionTransformer(16, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)
    network.heads = nn.Sequential()
    return nn.Sequential(nn.Upsample((16, 16)), network)


KINDS: dict[str, Callable[[], nn.Module]] = {"resnet": _resnet, "vit": _vit, "osnet": Scales, "ibn": Ibn}


def lively(network: nn.Module) -> nn.Module:
    """Gives the batch norms statistics that folding has to get right."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return network.eval()


def embedder(kind: str, *, flip: str = "after_sum", bottleneck: bool = False, bf16: bool = False) -> Embedder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        trunk = lively(KINDS[kind]())
        width = {"resnet": 512, "vit": 32, "osnet": 16, "ibn": 24}[kind]
        head = lively(nn.Sequential(nn.Linear(width, 12), nn.BatchNorm1d(12))) if bottleneck else None
        return Embedder(trunk, Feature(flip=flip), SIZE, bottleneck=head, bf16=bf16)  # type: ignore[arg-type]


def images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def apart(made: Embedder, name: str, count: int = 6, batch: int = 4) -> float:
    """The cosine distance of a backend's embeddings to eager's, on a batch and a half."""
    plain = made(images(count))
    use_backend(made, name, batch)
    return cosine_distance(made(images(count)), plain)


def _cases() -> list[Any]:
    """Each backend on a network that it has most to do with; the rest, which have to be converted first, are slow."""
    quick = {("onnxruntime", "resnet"), ("openvino", "resnet"), *(("fused", kind) for kind in KINDS)}
    names = ("fused", "onnxruntime", "openvino")
    return [
        pytest.param(name, kind, marks=() if (name, kind) in quick else pytest.mark.slow)
        for name in names
        for kind in KINDS
    ]


@pytest.mark.parametrize(("name", "kind"), _cases())
def test_a_backend_agrees_with_eager(name: str, kind: str) -> None:
    if name == "onnxruntime":
        pytest.importorskip("onnxscript")
    if name != "fused":
        pytest.importorskip(name)
    if (name, kind) == ("fused", "vit"):
        with pytest.raises(BackendRefusal, match="no batch norm"):
            apart(embedder(kind), name)
        return
    assert apart(embedder(kind), name) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_network_agrees_with_eager(kind: str) -> None:
    assert apart(embedder(kind), "compile") < 1e-9


@pytest.mark.parametrize("flip", ["none", "after_sum", "sequential", "concat"])
@pytest.mark.parametrize("bottleneck", [False, True])
def test_views_and_head_are_put_together_as_in_eager(flip: str, bottleneck: bool) -> None:
    made = embedder("resnet", flip=flip, bottleneck=bottleneck)
    assert apart(made, "fused") < 1e-9


def test_fused_bfloat16_is_near_float32() -> None:
    exact = embedder("resnet")(images(6))
    made = embedder("resnet", bf16=True)
    use_backend(made, "fused", 4)
    distance = cosine_distance(made(images(6)), exact)
    assert 1e-9 < distance < 1e-3


def test_the_network_itself_is_left_as_it_was() -> None:
    made = embedder("resnet")
    before = {name: value.clone() for name, value in made.state_dict().items()}
    for name in ("fused", "eager"):
        use_backend(made, name, 4)
    assert made.runner is None
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert len(before) == len(made.state_dict())


def test_pieces_of_one_size_give_what_a_whole_batch_gives() -> None:
    seen: list[int] = []

    def run(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return pixels.flatten(1).sum(dim=1, keepdim=True)

    pixels = torch.rand(11, 3, 2, 2)
    assert torch.equal(of_one_size(run, 4)(pixels), pixels.flatten(1).sum(dim=1, keepdim=True))
    assert seen == [4, 4, 4]


class Branch(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3)) if pixels.mean() > 0 else pixels.amax(dim=(2, 3))


class Cameras(nn.Module):
    takes_camera = True

    def forward(self, pixels: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3)) + cameras[:, None]


@pytest.mark.parametrize("name", ["fused", "onnxruntime", "openvino", "compile"])
def test_a_branch_on_values_is_refused(name: str) -> None:
    if name == "onnxruntime":
        pytest.importorskip("onnxscript")
    if name in {"onnxruntime", "openvino"}:
        pytest.importorskip(name)
    with pytest.raises(BackendRefusal, match=r"torch|OpenVINO"):
        use_backend(Embedder(Branch(), Feature(), SIZE), name, 4)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_network_that_takes_cameras_is_refused(name: str) -> None:
    with pytest.raises(BackendRefusal, match="camera"):
        use_backend(Embedder(Cameras(), Feature(), SIZE), name, 4)


def test_what_a_backend_cannot_do_is_said() -> None:
    with pytest.raises(BackendRefusal, match="no batch norm"):
        use_backend(Embedder(nn.Conv2d(3, 4, 3), Feature(), SIZE), "fused", 4)
    with pytest.raises(BackendRefusal, match="GPU"):
        use_backend(embedder("resnet"), "tensorrt", 4)
    pytest.importorskip("onnxruntime")
    with pytest.raises(BackendRefusal, match="bfloat16"):
        use_backend(embedder("resnet", bf16=True), "onnxruntime", 4)


def test_a_missing_library_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(BackendRefusal, match="not installed") as caught:
        use_backend(embedder("resnet"), "openvino", 4)
    assert "pip install openvino" in str(refusal_of("openvino", caught.value))


def test_names_are_those_of_the_option() -> None:
    assert set(NAMES) == {"eager", *BACKENDS}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["fused", "compile"])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_backend_agrees_with_eager(name: str, bf16: bool) -> None:
    device = torch.device("cuda")
    exact = embedder("resnet").to(device)(images(6).to(device)).cpu()
    made = embedder("resnet", bf16=bf16).to(device)
    use_backend(made, name, 4)
    limit = 1e-3 if bf16 else 1e-6
    for _ in range(3):  # a CUDA graph is captured by the second call, and replayed by the third
        assert cosine_distance(made(images(6).to(device)).cpu(), exact) < limit


@pytest.mark.gpu
def test_tensorrt_agrees_with_eager() -> None:
    pytest.importorskip("torch_tensorrt")
    device = torch.device("cuda")
    exact = embedder("resnet").to(device)(images(6).to(device)).cpu()
    made = embedder("resnet").to(device)
    use_backend(made, "tensorrt", 4)
    assert cosine_distance(made(images(6).to(device)).cpu(), exact) < 1e-6


def test_a_job_makes_pixels_of_its_size() -> None:
    assert Job(4, 8, 6, torch.device("cpu")).example(2).shape == (2, 3, 8, 6)
