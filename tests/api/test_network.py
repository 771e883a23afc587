"""`evaluate` with a network in memory: in the middle of a training, and as if nothing had been."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sysu30k_bench as sb
from sysu30k_bench.models.networks.colour_stripes import ColourStripes

SIZES = count()
SMALL: dict[str, Any] = {"height": 32, "width": 16}


class Small(nn.Module):
    """A few layers with everything that an evaluation could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.frozen = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.cached: torch.Tensor | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.cached is None:
            self.cached = torch.ones(8, 1, 1) * 2  # as networks keep their grids of positions
        found: torch.Tensor = self.drop(self.frozen(self.norm(self.conv(images)))) * self.cached
        return found.mean(dim=(2, 3))


@pytest.fixture
def network() -> Small:
    torch.manual_seed(0)
    small = Small()
    small.train()
    small.frozen.eval()
    small.conv.bias.requires_grad_(requires_grad=False)  # type: ignore[union-attr]
    return small


def test_a_network_is_given_back_as_it_was(network: Small, own_twin: Path) -> None:
    modes = [part.training for part in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    needs = [one.requires_grad for one in network.parameters()]
    kept = (torch.get_rng_state(), np.random.get_state()[1], random.getstate())  # noqa: NPY002
    first = sb.evaluate(network, data=own_twin, **SMALL)
    assert [part.training for part in network.modules()] == modes
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert [one.requires_grad for one in network.parameters()] == needs
    assert torch.equal(kept[0], torch.get_rng_state())
    assert np.array_equal(kept[1], np.random.get_state()[1])  # noqa: NPY002
    assert kept[2] == random.getstate()
    assert torch.is_grad_enabled()
    network(torch.rand(2, 3, 32, 16)).sum().backward()  # what it cached serves the training
    assert network.conv.weight.grad is not None
    network.load_state_dict(state)
    assert sb.evaluate(network, data=own_twin, **SMALL).metrics == first.metrics  # no dropout


def test_its_ranks_are_those_of_the_checkpoint(own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    of_file = sb.evaluate(stripes_checkpoint, data=own_twin, output=tmp_path / "run")
    in_memory = sb.evaluate(ColourStripes(), data=own_twin, transform="colour_stripes")
    columns = ["query", "match", "rank_low", "rank_high", "ranked"]
    assert in_memory.ranking[columns].equals(of_file.ranking[columns])
    assert in_memory.ranking["score"].to_numpy() == pytest.approx(of_file.ranking["score"].to_numpy(), abs=1e-6)
    assert of_file.record is not None
    assert in_memory.record is not None
    assert in_memory.record.data == of_file.record.data
    assert in_memory.record.model.input == of_file.record.model.input
    assert not in_memory.official
    assert any("in memory" in reason for reason in in_memory.record.not_official_because)


def test_the_mode_of_a_module_inside_a_function_is_known(network: Small, own_twin: Path) -> None:
    class Holder:
        def __init__(self) -> None:
            self.inner = network

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return self.inner(images)  # type: ignore[no-any-return]

    state = {name: value.clone() for name, value in network.state_dict().items()}
    expected = sb.evaluate(network, data=own_twin, **SMALL)
    for function in (lambda images: network(images), network.forward, Holder()):
        assert sb.evaluate(function, data=own_twin, **SMALL).metrics == expected.metrics
        assert network.training
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def test_a_function_without_a_module_is_taken_with_a_word(own_twin: Path) -> None:
    result = sb.evaluate(lambda images: images.flatten(1), data=own_twin, **SMALL)
    assert result.record is not None
    assert any("no module was found" in warning for warning in result.record.warnings)
    assert result.record.model.dimension == 3 * 32 * 16


def test_a_transform_of_the_callers_prepares_images(network: Small, own_twin: Path) -> None:
    from torchvision import transforms

    card = sb.evaluate(network, data=own_twin, interpolation="bilinear", **SMALL)
    prepare = transforms.Compose(
        [
            transforms.Resize((32, 16)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    own = sb.evaluate(network, data=own_twin, transform=prepare)
    assert own.metrics == card.metrics
    assert own.ranking["score"].to_numpy() == pytest.approx(card.ranking["score"].to_numpy(), abs=1e-5)
    mirrored = sb.evaluate(network, data=own_twin, transform=prepare, flip="after_sum")
    assert not np.allclose(mirrored.ranking["score"].to_numpy(float), own.ranking["score"].to_numpy(float), atol=1e-6)


def test_half_precision_and_wrappers_of_one_device_are_taken(network: Small, own_twin: Path) -> None:
    plain = sb.evaluate(network, data=own_twin, **SMALL)
    assert sb.evaluate(nn.DataParallel(network), data=own_twin, **SMALL).metrics == plain.metrics
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():  # the program's own settings change nothing
        assert sb.evaluate(network, data=own_twin, **SMALL).ranking.equals(plain.ranking)
    half = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 16, 8)).to(torch.bfloat16)
    assert sb.evaluate(half, data=own_twin, **SMALL).rank20.value == 1


def test_parts_of_the_data_are_marked(network: Small, own_twin: Path) -> None:
    for options, said in (({"limit": 3}, "--limit 3"), ({"distractors": 2}, "--distractors: 2 of 6")):
        result = sb.evaluate(network, data=own_twin, **SMALL, **options)  # type: ignore[arg-type]
        assert result.record is not None
        assert any(said in reason for reason in result.record.not_official_because)


def test_damaged_images_stop_it_or_are_counted(network: Small, own_twin: Path) -> None:
    victim = min((own_twin / "sysu_test_set_all/gallery/0000others").iterdir())
    victim.write_bytes(b"no image")
    with pytest.raises(sb.IntegrityError, match="1 image cannot be decoded") as caught:
        sb.evaluate(network, data=own_twin, **SMALL)
    assert victim.name in caught.value.details[0]
    assert network.training
    result = sb.evaluate(network, data=own_twin, skip_damaged=True, **SMALL)
    assert result.record is not None
    assert (result.record.counts.gallery, result.record.counts.skipped_gallery) == (11, 1)


def _nan(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1) * float("nan")


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (lambda images: images.flatten(1), {}, "transform is missing"),
        (lambda images: images.flatten(1), {"transform": "resnet51"}, "did you mean"),
        (lambda images: images.flatten(1), {"transform": 3}, "transform is an int"),
        (lambda images: images.flatten(1), {"transform": lambda _: 3}, "transform returns <class 'int'>"),
        (lambda images: images.flatten(1), {"transform": lambda _: torch.zeros(2, 5, 5)}, r"shape \(2, 5, 5\)"),
        (
            lambda images: images.flatten(1),
            {"transform": lambda _: torch.rand(3, 4, 2 + next(SIZES))},
            "transform returns images of",
        ),
        (lambda images: images.flatten(1), {"height": 4}, "height is 4"),
        (lambda images: images.flatten(1), {"transform": lambda _: None, "height": 32}, "transform is a function"),
        (lambda images: (images,), SMALL, "returns a tuple"),
        (lambda images: images.flatten(), SMALL, r"not \(N, D\)"),
        (lambda images: images.flatten(1).long(), SMALL, "int64"),
        (
            lambda images: images.flatten(1)[:, : 1 + (len(images) > 4)],
            {**SMALL, "batch_size": 5},
            "returns 2 numbers an image, and later 1",
        ),
        (lambda images: images.flatten(1)[:, :0], SMALL, r"shape \(.*, 0\)"),
        (_nan, SMALL, "zero, NaN or infinite"),
        (lambda images: images.flatten(1), {**SMALL, "output": "x", "adapter": "dgl"}, "adapter, output: for"),
        (3, SMALL, "an int is neither a network nor a path"),
        (nn.Linear(3, 4).to("meta"), SMALL, "meta"),
    ],
)
def test_what_cannot_be_evaluated_is_told(own_twin: Path, function: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(sb.BenchError, match=said):
        sb.evaluate(function, data=own_twin, **options)


def test_weights_spread_over_processes_are_refused(own_twin: Path) -> None:
    class FSDPLinear(nn.Linear):
        """As torch names a module whose weights are spread."""

    with pytest.raises(sb.UsageError, match="sharded over processes"):
        sb.evaluate(FSDPLinear(3, 4), data=own_twin, **SMALL)


@pytest.mark.parametrize(
    ("rounds", "most"), [(12, 2 << 20), pytest.param(30, 5 << 20, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_it_works_in_the_middle_of_a_loop_and_memory_does_not_grow(
    network: Small, own_twin: Path, rounds: int, most: int
) -> None:
    """At most half a megabyte a round, in the mean."""
    import gc

    import psutil

    data, process = sb.open_data(own_twin, limit=6), psutil.Process()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    used = []
    for _ in range(rounds):
        optimizer.zero_grad()
        network(torch.rand(4, 3, 32, 16)).square().mean().backward()
        optimizer.step()
        sb.evaluate(network, data=data, workers=0, **SMALL)
        gc.collect()
        used.append(process.memory_info().rss)
    assert len(data.warnings) < 5
    settled = rounds // 3
    assert max(used[2 * settled :]) - max(used[settled : 2 * settled]) < most
