"""A ResNet's state dict as the programs of the field write it (layouts from their sources, weights our own)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from sysu30k_bench.models.embedder import Embedder
from sysu30k_bench.models.formats.checkpoint import CheckpointFile
from sysu30k_bench.models.load import load_embedder
from sysu30k_bench.models.matching.detect import detect_card
from sysu30k_bench.models.matching.fit import Coverage
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

State = dict[str, torch.Tensor]
R50 = 23_508_032
"""Parameters of a ResNet-50 without its classifier."""

_SEQUENTIAL = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def as_file(content: Mapping[str, object], name: str = "model.pth") -> CheckpointFile:
    """What the reader would give for a file of this content."""
    return CheckpointFile(Path(name), "0" * 64, content)


def found_by(name: str, content: Mapping[str, object]) -> tuple[Embedder, Coverage]:
    """The network of the card of this name, which must be the one that is found for this content."""
    file = as_file(content)
    detected = detect_card(file)
    assert detected.card.name == name
    return load_embedder(detected.fit, file)


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(value.numel() for value in network.parameters())


def lively(network: nn.Module) -> State:
    """A network's state dict with statistics that are none of the usual zeros and ones."""
    generator = torch.Generator().manual_seed(3)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            value.uniform_(0.8, 1.2, generator=generator)
        elif name.endswith("running_mean"):
            value.normal_(std=0.05, generator=generator)
    return state


def small_resnet(**options: object) -> State:
    """A seeded ResNet of one bottleneck block a stage, 64 features, with a classifier of 5 classes."""
    widths = {"entries": (4, 4, 8, 16), "widths": (4, 4, 8, 16), "outputs": (16, 16, 32, 64), "stem": (8,)}
    with torch.random.fork_rng():
        torch.manual_seed(12)
        state = lively(ResNetTrunk(blocks=(1, 1, 1, 1), **{**widths, **options}))  # type: ignore[arg-type]
        return {**state, "fc.weight": torch.rand(5, 64), "fc.bias": torch.rand(5)}


def hollow(content: object) -> object:
    """The same content with tensors of the same shapes that hold a single number, for tests that read shapes alone."""
    if isinstance(content, torch.Tensor):
        return torch.zeros((), dtype=content.dtype).expand(content.shape)
    if isinstance(content, dict):
        return {name: hollow(value) for name, value in content.items()}
    return content


def trunk(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def sequential(prefix: str, state: State) -> State:
    renamed = {}
    for name, value in trunk(state).items():
        first, _, rest = name.partition(".")
        renamed[f"{prefix}{_SEQUENTIAL[first]}.{rest}"] = value
    return renamed


def other(state: State) -> State:
    """The same network with other numbers: what must not be read."""
    return {name: value + 1 if value.is_floating_point() else value for name, value in state.items()}


def projector(prefix: str) -> State:
    return {
        f"{prefix}.0.weight": torch.ones(128, 2048),
        f"{prefix}.0.bias": torch.ones(128),
        f"{prefix}.2.weight": torch.ones(64, 128),
    }


def dgl(state: State, classes: int = 31) -> State:
    generator = torch.Generator().manual_seed(5)
    weight = torch.empty(classes, 2048).normal_(std=0.02, generator=generator)
    head = {"classifier.classifier.0.weight": weight, "classifier.classifier.0.bias": torch.linspace(-1, 1, classes)}
    return prefixed("module.", prefixed("model.", state) | head)


def layumi(state: State) -> State:
    width = state["fc.weight"].shape[1]
    head = {
        "classifier.add_block.0.weight": torch.linspace(-1, 1, 512 * width).reshape(512, width),
        "classifier.add_block.0.bias": torch.ones(512),
        "classifier.add_block.1.weight": torch.linspace(0.5, 1, 512),
        "classifier.add_block.1.bias": torch.zeros(512),
        "classifier.add_block.1.running_mean": torch.linspace(-1, 1, 512),
        "classifier.add_block.1.running_var": torch.full((512,), 2.0),
        "classifier.add_block.1.num_batches_tracked": torch.tensor(9),
        "classifier.classifier.0.weight": torch.ones(7, 512),
        "classifier.classifier.0.bias": torch.ones(7),
    }
    return prefixed("model.", state) | head


Writer = Callable[[State], dict[str, object]]

FOUND: dict[str, tuple[str, Writer]] = {
    "torchvision": ("imagenet_resnet", lambda s: dict(s)),
    "torchvision wrapped, DataParallel": (
        "imagenet_resnet",
        lambda s: {"epoch": 3, "state_dict": prefixed("module.", s)},
    ),
    "torch.compile": ("imagenet_resnet", lambda s: {"model": prefixed("_orig_mod.module.", s)}),
    "layumi net_last.pth": ("resnet50_layumi", lambda s: dict(layumi(s))),
    "facebookresearch/moco": (
        "moco_v2",
        lambda s: {
            "epoch": 200,
            "arch": "resnet50",
            "state_dict": prefixed("module.encoder_q.", trunk(s) | projector("fc"))
            | prefixed("module.encoder_k.", other(trunk(s)) | projector("fc"))
            | {"module.queue": torch.ones(128, 64), "module.queue_ptr": torch.zeros(1)},
            "optimizer": {"state": {}, "param_groups": [{"lr": 0.03}]},
        },
    ),
    "OpenSelfSup MoCo": (
        "moco_v2",
        lambda s: {
            "state_dict": prefixed("encoder_q.0.", trunk(s))
            | prefixed("encoder_k.0.", other(trunk(s)))
            | prefixed("backbone.", trunk(s)),
            "meta": {"iter": 1},
        },
    ),
    "sthalles/SimCLR": (
        "simclr_pixels",
        lambda s: {
            "epoch": 9,
            "arch": "resnet50",
            "state_dict": prefixed("backbone.", trunk(s) | projector("fc")),
            "optimizer": {},
        },
    ),
    "Spijkervet/SimCLR": ("simclr_pixels", lambda s: dict(prefixed("encoder.", trunk(s)) | projector("projector"))),
    "lightning-bolts SimCLR": (
        "simclr",
        lambda s: {
            "state_dict": prefixed("encoder.", s) | projector("projection.model"),
            "pytorch-lightning_version": "1.1",
        },
    ),
    "lucidrains/byol-pytorch": (
        "byol",
        lambda s: dict(
            prefixed("online_encoder.net.", s)
            | projector("online_encoder.projector")
            | projector("online_predictor")
            | prefixed("target_encoder.net.", other(s))
        ),
    ),
    "yaox12/BYOL-PyTorch": (
        "byol",
        lambda s: {
            "model": sequential("online_network.encoder.", s)
            | sequential("target_network.encoder.", other(s))
            | projector("predictor"),
            "optimizer": {},
            "amp": None,
        },
    ),
    "yaox12 released": ("byol", lambda s: {"online_backbone": trunk(s)}),
    "OpenSelfSup BYOL, or wanggrun/triplet, training": (
        "byol",
        lambda s: {
            "state_dict": prefixed("online_net.0.", trunk(s))
            | prefixed("target_net.0.", other(trunk(s)))
            | projector("head.predictor"),
            "meta": {},
        },
    ),
    "wanggrun/triplet extracted": ("triplet", lambda s: {"state_dict": trunk(s), "author": "OpenSelfSup"}),
}
"""Files that say by which method they were made, and the card that is found."""

TRUNKS: dict[str, tuple[str, Writer]] = {
    "bare trunk": ("moco_v2", lambda s: dict(trunk(s))),
    "mmselfsup": ("simclr", lambda s: {"state_dict": prefixed("backbone.", trunk(s)) | projector("neck")}),
    "solo-learn": (
        "byol",
        lambda s: {"state_dict": prefixed("backbone.", trunk(s)) | prefixed("momentum_backbone.", other(trunk(s)))},
    ),
    "solo-learn, old": (
        "simclr",
        lambda s: {"state_dict": prefixed("encoder.", trunk(s)) | projector("projector_old")},
    ),
    "lightly, examples": (
        "simclr",
        lambda s: {"state_dict": sequential("backbone.", s) | sequential("backbone_momentum.", other(s))},
    ),
    "VISSL": (
        "moco_v2",
        lambda s: {
            "classy_state_dict": {
                "base_model": {"model": {"trunk": prefixed("_feature_blocks.", trunk(s)), "heads": {}}}
            }
        },
    ),
}
"""Files of toolboxes, which do not say it, each with a method's card that may be named."""
