from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.cards import find_card
from sysu30k_bench.models.embedder import Embedder, probe_dimension
from sysu30k_bench.models.load import load_embedder, random_embedder, require_fit
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.matching.fit import Coverage
from sysu30k_bench.models.sources import generic_card
from tests.models.checkpoints import State, as_file, dgl, hollow, layumi, small_resnet, trunk


def load(
    card: AdapterCard | str, content: Mapping[str, object], *, allow_partial: bool = False
) -> tuple[Embedder, Coverage]:
    file = as_file(content)
    fit = require_fit(find_card(card) if isinstance(card, str) else card, file)
    return load_embedder(fit, file, allow_partial=allow_partial)


def pixels(count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 96, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_missing_tensors_stop_the_run_and_are_listed(resnet50_state: State) -> None:
    lacking = {name: value for name, value in resnet50_state.items() if not name.startswith("layer4.2.bn3")}
    with pytest.raises(IntegrityError, match="261 of 265 tensors") as caught:
        load("resnet50", lacking)
    assert "layer4.2.bn3.running_var: missing" in caught.value.details


def test_partial_is_deterministic_and_counted(resnet50_state: State) -> None:
    lacking = {name: value for name, value in resnet50_state.items() if not name.startswith("layer4.2.conv3")}
    card = find_card("resnet50")
    first, coverage = load(card, lacking, allow_partial=True)
    torch.rand(3)
    second, _ = load(card, lacking, allow_partial=True)
    assert coverage.missing == ["layer4.2.conv3.weight"]
    assert not coverage.complete
    assert torch.equal(
        first.trunk.state_dict()["layer4.2.conv3.weight"], second.trunk.state_dict()["layer4.2.conv3.weight"]
    )


def test_a_file_with_nothing_of_the_network_is_refused_even_as_partial() -> None:
    with pytest.raises(IntegrityError, match="does not fill the network of adapter 'resnet50'") as caught:
        load("resnet50", {"w": torch.zeros(2)}, allow_partial=True)
    assert caught.value.details == ["the file holds w (1 tensor)"]
    with pytest.raises(IntegrityError, match="does not fill"):
        load(generic_card("torchvision:resnet18"), {"w": torch.zeros(2)}, allow_partial=True)


def test_wrong_width_names_both_shapes(resnet50_state: State) -> None:
    wide = dict(resnet50_state) | {"layer1.1.conv1.weight": torch.zeros(128, 256, 1, 1)}
    with pytest.raises(IntegrityError) as caught:
        load("resnet50", wide)
    assert (
        caught.value.details[0]
        == "layer1.1.conv1.weight: the file has (128, 256, 1, 1), the network has (64, 256, 1, 1)"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(resnet50_state: State, value: float) -> None:
    bad = dict(resnet50_state)
    bad["layer2.0.conv2.weight"] = bad["layer2.0.conv2.weight"].clone().fill_(value)
    with pytest.raises(IntegrityError, match="NaN or infinite") as caught:
        load("resnet50", bad)
    assert caught.value.details == ["layer2.0.conv2.weight"]


def test_nan_in_a_tensor_that_is_not_used_does_not_matter(resnet50_state: State) -> None:
    state = dict(resnet50_state) | {"fc.weight": torch.full((1000, 2048), float("nan"))}
    assert load("resnet50", state)[1].complete


def test_dgl_without_classifier_bias_is_refused(resnet50_state: State) -> None:
    state = {name: value for name, value in dgl(resnet50_state).items() if not name.endswith("classifier.0.bias")}
    with pytest.raises(IntegrityError, match=r"does not fill") as caught:
        load("dgl", state)
    assert "logits.bias: missing" in caught.value.details


def test_resnet50_features_equal_torchvisions(resnet50_state: State) -> None:
    from torchvision.models import resnet50

    network = resnet50(weights=None)
    network.load_state_dict(resnet50_state)
    network.fc = torch.nn.Identity()
    network.eval()
    images = pixels()
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    scaled = (images.float() / 255 - mean) / std
    with torch.inference_mode():
        plain, mirrored = network(scaled).double(), network(scaled.flip(-1)).double()
    after_sum = torch.nn.functional.normalize(plain + mirrored)
    sequential = torch.nn.functional.normalize(torch.nn.functional.normalize(plain) + mirrored)
    ours, _ = load("resnet50", resnet50_state)
    assert torch.allclose(ours(images).double(), after_sum, atol=2e-6)
    ssl, _ = load("moco_v2", trunk(resnet50_state))
    assert torch.allclose(ssl(images).double(), sequential, atol=2e-6)
    assert not torch.allclose(after_sum, sequential, atol=1e-4)


def test_layumi_bottleneck_is_linear_then_batch_norm(resnet50_state: State) -> None:
    state = layumi(resnet50_state)
    images = pixels()
    unflipped = {}
    for name in ("resnet50", "resnet50_layumi"):
        card = find_card(name)
        unflipped[name] = card.model_copy(update={"feature": card.feature.model_copy(update={"flip": "none"})})
    pooled, _ = load(unflipped["resnet50"], state)
    ours, _ = load(unflipped["resnet50_layumi"], state)
    with torch.inference_mode():
        features = pooled._pooled(images.float().div(255).sub(pooled.mean).div(pooled.std), None).float()
    linear = features @ state["classifier.add_block.0.weight"].T + 1
    normed = (
        (linear - state["classifier.add_block.1.running_mean"])
        / (2.0 + 1e-5) ** 0.5
        * state["classifier.add_block.1.weight"]
    )
    assert torch.allclose(ours(images), torch.nn.functional.normalize(normed), atol=1e-5)
    assert ours(images).shape == (2, 512)


@pytest.mark.parametrize("card", ["resnet50", "dgl", "resnet50_layumi"])
def test_random_control_has_the_shape_and_none_of_the_weights(card: str, resnet50_state: State) -> None:
    content = {"resnet50": resnet50_state, "dgl": dgl(resnet50_state), "resnet50_layumi": layumi(resnet50_state)}[card]
    loaded, _ = load(card, content)
    control, again = (random_embedder(find_card(card), loaded) for _ in range(2))
    images = pixels()
    assert control(images).shape == loaded(images).shape
    assert torch.equal(control(images), again(images))
    assert not torch.allclose(control(images), loaded(images), atol=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "resnet101", "wide_resnet50_2", "resnext50_32x4d"])
def test_another_depth_or_width_is_read_as_itself_and_never_passes_for_resnet50(name: str) -> None:
    from torchvision import models

    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    state = {key: hollow(value) for key, value in network.state_dict().items()}
    detected = detect_card(as_file(state))
    assert detected.card.name == "imagenet_resnet"
    options = detected.fit.card.network.options
    blocks = [len(getattr(network, f"layer{number}")) for number in (1, 2, 3, 4)]
    assert options["blocks"] == blocks
    assert options["groups"] == [network.groups] * 4
    assert options["widths"][3] == network.layer4[0].conv2.out_channels  # type: ignore[index]
    named = require_fit(find_card("resnet50"), as_file(state))
    assert (named.coverage.complete, named.card.network.options["blocks"]) == (True, blocks)
    for card in (generic_card("torchvision:resnet50"), find_card("dgl")):
        with pytest.raises(IntegrityError, match=r"does not fill|has no place for"):
            load(card, state)


def test_a_block_that_a_stage_lacks_is_no_shallower_network(resnet50_state: State) -> None:
    gap = {name: value for name, value in resnet50_state.items() if not name.startswith("layer3.2.")}
    with pytest.raises(IntegrityError, match="has no place for") as caught:
        load("resnet50", gap)
    assert "layer3.5.bn3.bias: in the file, and the network has no place for it" in caught.value.details


def test_tensors_inside_the_network_that_have_no_place_are_foreign(resnet50_state: State) -> None:
    odd = {**resnet50_state, "layer3.0.adaptive_weight": torch.ones(1)}
    card = generic_card("torchvision:resnet50")
    with pytest.raises(IntegrityError, match="holds 1 tensor that the network") as caught:
        load(card, odd)
    assert caught.value.details == ["layer3.0.adaptive_weight: in the file, and the network has no place for it"]
    _, coverage = load(card, odd, allow_partial=True)
    assert not coverage.complete
    with pytest.raises(IntegrityError, match="does not fill"):
        load("resnet50", odd)


def test_what_the_user_chose_not_to_use_is_no_missing_part() -> None:
    card = find_card("resnet50_layumi")
    pooled = card.model_copy(update={"feature": card.feature.model_copy(update={"kind": "pool5"})})
    embedder, coverage = load(pooled, layumi(small_resnet()))
    assert coverage.complete
    assert embedder.bottleneck is None


class NeckNamed(torch.nn.Module):
    """A network whose own layers have the names of our heads."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Conv2d(3, 4, 1)
        self.bottleneck = torch.nn.BatchNorm2d(4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.bottleneck(self.logits(images)).mean(dim=(2, 3))  # type: ignore[no-any-return]


class Hidden(torch.nn.Module):
    """A network whose layers a state dict does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [torch.nn.Conv2d(3, 4, 1)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers[0](images).mean(dim=(2, 3))  # type: ignore[no-any-return]


def test_layers_named_like_our_heads_are_filled() -> None:
    trained = NeckNamed()
    for value in trained.state_dict().values():
        value.copy_(torch.full_like(value, 2))
    card = generic_card("python:tests.models.test_load:NeckNamed")
    embedder, coverage = load(card, trained.state_dict())
    assert coverage.loaded == 6
    filled = embedder.trunk.state_dict().items()
    assert all((value == 2).all() for name, value in filled if not name.endswith("num_batches_tracked"))


def test_a_network_that_takes_nothing_from_the_file_is_refused() -> None:
    with pytest.raises(IntegrityError, match="does not fill"):
        load(generic_card("python:tests.models.test_load:Hidden"), {"w": torch.ones(2)})


def test_a_head_of_another_width_is_told_as_such(resnet50_state: State) -> None:
    state = dgl(resnet50_state)
    state["module.classifier.classifier.0.weight"] = torch.ones(31, 512)
    embedder, _ = load("dgl", state)
    with pytest.raises(IntegrityError, match="head takes 512 features and its trunk gives 2048"):
        probe_dimension(embedder, torch.device("cpu"))
    broken = layumi(resnet50_state)
    broken["classifier.add_block.1.weight"] = torch.ones(7)
    with pytest.raises(IntegrityError, match="no whole bottleneck"):
        load("resnet50_layumi", broken)


def test_tensors_that_claim_more_numbers_than_the_file_holds_are_refused() -> None:
    with pytest.raises(IntegrityError, match="claims more numbers than it holds") as caught:
        load("resnet50", {**small_resnet(), "layer4.0.conv3.weight": torch.zeros(()).expand(64, 16, 1, 1)})
    assert caught.value.details == ["layer4.0.conv3.weight"]
