from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sysu30k_bench.errors import UsageError
from sysu30k_bench.training.augmentation import MEAN, STD, augment
from sysu30k_bench.training.networks import build_network
from sysu30k_bench.training.optimizers import build_optimizer, rate_factor, set_rates
from sysu30k_bench.training.recipe import InputPart, OptimizerPart, Recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_and_named_as_its_file(name: str) -> None:
    assert load_recipe(name).name == name


def test_the_published_commands_are_there() -> None:
    mgn = load_recipe("market1501_mgn")
    assert (mgn.bags.identities_per_bag, mgn.bags.identities_per_batch, mgn.run.epochs) == (2, 16, 300)
    assert (mgn.optimizer.milestones, mgn.optimizer.lr, mgn.optimizer.amsgrad) == ([250, 290], 2e-4, True)
    assert (mgn.loss.unary, mgn.loss.pairwise, mgn.loss.triplet, mgn.loss.margin) == (1, 2, 2, 1.2)
    unary = load_recipe("sysu30k_unary")
    assert (unary.bags.kind, unary.bags.bags_per_batch * unary.bags.images_per_bag) == ("published", 180)
    assert (unary.network.name, unary.run.epochs, unary.loss.assignment) == ("resnet50", 8, "balanced")
    assert (unary.optimizer.lr, unary.optimizer.trunk_lr) == (1e-3, 1e-4)


def test_settings_are_changed_by_name(tmp_path: Path) -> None:
    changes = {"run.epochs": "7", "network.weights": "some file.pth", "optimizer.milestones": "[2, 3]"}
    changed = load_recipe("tiny", changes)
    assert (changed.run.epochs, changed.network.weights, changed.optimizer.milestones) == (7, "some file.pth", [2, 3])
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\ntitle = "mine"\n[run]\nepochs = 2\n')
    assert load_recipe(str(path)).run.epochs == 2


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("nothing", {}, "market1501_mgn"),
        ("missing.toml", {}, "cannot read"),
        (".toml", {}, "cannot read"),
        ("tiny", {"run.epochs": "0"}, "run.epochs"),
        ("tiny", {"run.epoch": "3"}, "run.epoch: there is no such setting; did you mean run.epochs"),
        ("tiny", {"nonsense": "3"}, "nonsense: there is no such setting"),
        ("tiny", {"loss.margin": "nan"}, "loss.margin"),
        ("tiny", {"loss.sigma": "0"}, "loss.sigma"),
        ("tiny", {"bags.kind": "random"}, "bags.kind"),
        ("tiny", {"name.x": "1"}, "no setting"),
        ("tiny", {"network.name": "vgg"}, "network.name"),
    ],
)
def test_what_is_wrong_is_named(name: str, changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(name, changes)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["[" * 50_000 + "]" * 50_000, "9" * 10_000, "0x" + "f" * 10_000])
def test_a_recipe_of_an_adversary_is_a_mistake_of_use(tmp_path: Path, value: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'name = "own"\ntitle = "mine"\n[run]\nepochs = {value}\n')
    with pytest.raises(UsageError, match="cannot read the recipe"):
        load_recipe(str(path))
    with pytest.raises(UsageError, match=r"run\.epochs"):
        load_recipe("tiny", {"run.epochs": value})
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match="it is not a file"):
        load_recipe(str(path))


def test_recipes_refuse_unknown_parts() -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"name": "x", "title": "y", "hooks": {}})


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"milestones": [3, 5], "gamma": 0.1}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"step": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({}, [1] * 6),
    ],
)
def test_rates_drop_where_the_recipe_says(part: dict[str, object], expected: list[float]) -> None:
    wanted = OptimizerPart.model_validate(part)
    assert [rate_factor(wanted, epoch) for epoch in range(1, 7)] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["sgd", "adam", "nadam", "rmsprop"])
def test_heads_and_trunk_have_their_own_rates(name: str) -> None:
    part = OptimizerPart(name=name, lr=0.1, trunk_lr=0.01, milestones=[2])  # type: ignore[arg-type]
    network = build_network("resnet50", 3)
    optimizer = build_optimizer(network, part)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]
    set_rates(optimizer, part, 2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.001, 0.01])
    held = {id(one) for group in optimizer.param_groups for one in group["params"]}
    assert id(network.model.fc.weight) not in held  # type: ignore[union-attr]
    learning = [one for one in network.parameters() if one.requires_grad]
    assert held == {id(one) for one in learning}


def picture(height: int = 24, width: int = 12) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), np.uint8))


def test_augmentation_without_chance_is_the_reference_normalisation() -> None:
    plain = augment(picture(), InputPart(height=24, width=12, flip=0), np.random.default_rng(0))
    expected = (picture().float() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(plain, expected)
    mirrored = augment(picture(), InputPart(height=24, width=12, flip=1), np.random.default_rng(0))
    torch.testing.assert_close(mirrored, expected.flip(-1))


def test_augmentation_is_a_function_of_its_generator() -> None:
    wanted = InputPart(height=20, width=10, padding=2, erasing=0.7, jitter=0.3)
    drawn = [augment(picture(), wanted, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].shape == (3, 20, 10)


def test_erasing_fills_with_the_mean_and_within_its_limits() -> None:
    wanted = InputPart(height=64, width=32, flip=0, erasing=1)
    shares = []
    for seed in range(60):
        erased = (augment(picture(64, 32), wanted, np.random.default_rng(seed)) == 0).all(dim=0)
        shares.append(erased.float().mean().item())
    assert min(shares) > 0.01
    assert max(shares) < 0.45
    assert np.mean(shares) == pytest.approx(0.2, abs=0.05)


def test_crops_reach_every_corner() -> None:
    wanted = InputPart(height=24, width=12, padding=2, flip=0)
    blank = [augment(picture(), wanted, np.random.default_rng(seed)) for seed in range(80)]
    assert len({tuple(one.flatten()[:6].tolist()) for one in blank}) > 10
