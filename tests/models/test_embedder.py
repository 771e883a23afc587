from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.embedder import Embedder, probe_dimension

PLAIN = Input(height=16, width=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Halves(nn.Module):
    """Gives (mean of left half, mean of right half), scaled: a feature that mirroring swaps."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        width = images.shape[-1] // 2
        return torch.stack([images[..., :width].mean((1, 2, 3)), images[..., width:].mean((1, 2, 3))], 1) * 255


def image(left: int, right: int) -> torch.Tensor:
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[..., :8], pixels[..., 8:] = left, right
    return pixels


@pytest.mark.parametrize(
    ("flip", "expected"),
    [
        ("none", (0.6, 0.8)),
        ("after_sum", (0.70711, 0.70711)),
        ("sequential", (0.7710, 0.6369)),
        ("concat", (0.42426, 0.56569, 0.56569, 0.42426)),
    ],
)
def test_hand_computed_flips(flip: str, expected: tuple[float, float]) -> None:
    embedder = Embedder(Halves(), Feature(flip=flip), PLAIN)
    assert embedder(image(3, 4))[0].tolist() == pytest.approx(expected, abs=5e-5)


class Cameras(nn.Module):
    """Gives the camera of each image, counted from 0, beside the image's mean."""

    takes_camera = True

    def forward(self, images: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        assert cameras.dtype == torch.int64
        return torch.stack([images.mean((1, 2, 3)) * 255, cameras.float()], 1)


def test_networks_that_take_the_camera_are_given_it_counted_from_zero() -> None:
    embedder = Embedder(Cameras(), Feature(flip="after_sum"), PLAIN)
    assert embedder.takes_camera
    assert not Embedder(Halves(), Feature(), PLAIN).takes_camera
    out = embedder(torch.cat([image(1, 1), image(1, 1)]), torch.tensor([2, 1]))
    assert torch.allclose(out, torch.tensor([[0.70711, 0.70711], [1.0, 0.0]]), atol=5e-5)


def test_one_camera_for_all_images_is_the_cards_and_not_the_data_sets() -> None:
    embedder = Embedder(Cameras(), Feature(flip="none", camera=2), PLAIN)
    for cameras in (None, torch.tensor([7, 5])):
        out = embedder(torch.cat([image(1, 1), image(2, 2)]), cameras)
        assert torch.allclose(out, torch.tensor([[0.70711, 0.70711], [0.89443, 0.44721]]), atol=5e-5)


def test_a_camera_that_nobody_knows_is_asked_for() -> None:
    embedder = Embedder(Cameras(), Feature(), PLAIN)
    with pytest.raises(UsageError, match="takes the camera of each image") as caught:
        embedder(image(1, 1))
    assert "--camera" in str(caught.value.hint)


def test_channels_and_scale() -> None:
    class First(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([images[:, 0].mean((1, 2)), images[:, 2].mean((1, 2))], 1)

    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[:, 0], pixels[:, 2] = 13, 9
    raw = PLAIN.model_copy(update={"scale": "byte", "mean": (10.0, 10.0, 5.0), "std": (1.0, 1.0, 1.0)})
    turned = raw.model_copy(update={"channels": "bgr"})
    assert Embedder(First(), Feature(flip="none"), raw)(pixels)[0].tolist() == pytest.approx([0.6, 0.8])
    assert Embedder(First(), Feature(flip="none"), turned)(pixels)[0].tolist() == pytest.approx(
        [-1 / 65**0.5, 8 / 65**0.5]
    )


def test_zero_feature_comes_out_as_nan() -> None:
    embedder = Embedder(Halves(), Feature(flip="after_sum"), PLAIN)
    out = embedder(torch.cat([image(0, 0), image(3, 4)]))
    assert torch.isnan(out[0]).all()
    assert torch.isfinite(out[1]).all()


def test_maps_are_averaged() -> None:
    embedder = Embedder(nn.Conv2d(3, 5, 3), Feature(flip="none"), PLAIN)
    assert probe_dimension(embedder, torch.device("cpu")) == 5
    assert torch.allclose(embedder(image(3, 4)).norm(dim=1), torch.ones(1))


def test_networks_that_do_not_fit_say_why() -> None:
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images

    with pytest.raises(UsageError, match="returns a tuple"):
        probe_dimension(Embedder(Pair(), Feature(), PLAIN), torch.device("cpu"))
    with pytest.raises(UsageError, match="does not take images of 16 x 16"):
        probe_dimension(Embedder(nn.Linear(7, 2), Feature(), PLAIN), torch.device("cpu"))


def test_bf16_is_close_and_not_equal() -> None:
    trunk = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    pixels = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    exact, coarse = (Embedder(trunk, Feature(), PLAIN, bf16=bf16)(pixels) for bf16 in (False, True))
    cosine = (exact * coarse).sum(1)
    assert (cosine > 0.999).all()
    assert not torch.equal(exact, coarse)


@pytest.mark.parametrize("wish", ["old", "new"])
def test_linear_layers_run_in_float32_whatever_torch_was_told(wish: str) -> None:
    """The old switch let linear layers use TF32 (on some processors bfloat16), and the new one made torch raise."""
    backends: Any = torch.backends
    seen = []

    class Spy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            places = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
            seen.extend(place.fp32_precision for place in places)
            return images.mean(dim=(2, 3))

    before = torch.get_float32_matmul_precision()
    try:
        if wish == "old":
            torch.set_float32_matmul_precision("medium")
        else:
            backends.cuda.matmul.fp32_precision = backends.cudnn.conv.fp32_precision = "tf32"
        Embedder(Spy(), Feature(flip="none"), PLAIN)(image(1, 2))
        assert seen == ["ieee"] * 4
        assert backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        backends.cuda.matmul.fp32_precision = "none"
        torch.set_float32_matmul_precision(before)
