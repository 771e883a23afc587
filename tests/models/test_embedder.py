from __future__ import annotations

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
    ("flip", "expected"), [("none", (0.6, 0.8)), ("after_sum", (0.70711, 0.70711)), ("sequential", (0.7710, 0.6369))]
)
def test_hand_computed_flips(flip: str, expected: tuple[float, float]) -> None:
    embedder = Embedder(Halves(), Feature(flip=flip), PLAIN)  # type: ignore[arg-type]
    assert embedder(image(3, 4))[0].tolist() == pytest.approx(expected, abs=5e-5)


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
