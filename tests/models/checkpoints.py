"""A ResNet-50's state dict as the programs of the field write it (layouts from their sources, weights our own)."""

from __future__ import annotations

from collections.abc import Callable

import torch

State = dict[str, torch.Tensor]

_SEQUENTIAL = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


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
    head = {
        "classifier.add_block.0.weight": torch.linspace(-1, 1, 512 * 2048).reshape(512, 2048),
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

RECOGNISED: dict[str, tuple[str, Writer]] = {
    "torchvision": ("resnet50", lambda s: dict(s)),
    "torchvision wrapped, DataParallel": ("resnet50", lambda s: {"epoch": 3, "state_dict": prefixed("module.", s)}),
    "torch.compile": ("resnet50", lambda s: {"model": prefixed("_orig_mod.module.", s)}),
    "DGL net_6.pth": ("dgl", lambda s: dict(dgl(s))),
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
        "simclr",
        lambda s: {
            "epoch": 9,
            "arch": "resnet50",
            "state_dict": prefixed("backbone.", trunk(s) | projector("fc")),
            "optimizer": {},
        },
    ),
    "Spijkervet/SimCLR": ("simclr", lambda s: prefixed("encoder.", trunk(s)) | projector("projector")),
    "lucidrains/byol-pytorch": (
        "byol",
        lambda s: (
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
    "wanggrun/triplet extracted": ("triplet", lambda s: {"state_dict": trunk(s), "author": "OpenSelfSup"}),
}

READABLE: dict[str, tuple[str, Writer]] = {
    "bare trunk": ("moco_v2", lambda s: dict(trunk(s))),
    "OpenSelfSup BYOL training": (
        "byol",
        lambda s: {
            "state_dict": prefixed("online_net.0.", trunk(s))
            | prefixed("target_net.0.", other(trunk(s)))
            | projector("head.predictor"),
            "meta": {},
        },
    ),
    "wanggrun/triplet training": (
        "triplet",
        lambda s: {"state_dict": prefixed("online_net.0.", trunk(s)) | prefixed("target_net.0.", other(trunk(s)))},
    ),
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
