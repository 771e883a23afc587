"""From a recipe to a method with its trunk."""

from __future__ import annotations

from torch import nn

from sysu30k_bench.training.ssl.methods.bootstrap import BYOL, SimSiam
from sysu30k_bench.training.ssl.methods.contrastive import MoCo, SimCLR
from sysu30k_bench.training.ssl.methods.dino import DINO
from sysu30k_bench.training.ssl.methods.method import Method
from sysu30k_bench.training.ssl.methods.redundancy import BarlowTwins, VICReg
from sysu30k_bench.training.ssl.methods.truncated_triplet import TruncatedTriplet
from sysu30k_bench.training.ssl.recipe import MethodName, SslRecipe

CLASSES: dict[MethodName, type[Method]] = {
    "simclr": SimCLR,
    "moco_v2": MoCo,
    "byol": BYOL,
    "triplet": TruncatedTriplet,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "vicreg": VICReg,
    "dino": DINO,
}


def build_method(recipe: SslRecipe, backbone: nn.Module, width: int, *, processes: bool = False) -> Method:
    """Makes a method around a trunk.

    Args:
        recipe: Which method, and its settings.
        backbone: Maps (N, 3, H, W) to (N, D) features.
        width: D.
        processes: Whether several processes train together.
    """
    return CLASSES[recipe.method](recipe, backbone, width, processes=processes)
