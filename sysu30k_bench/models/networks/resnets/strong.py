"""The trunks of reid-strong-baseline and its descendants: what their code does and tensors do not show."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets import reading
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk


class StrongResNet(ResNetTrunk):
    """A ResNet with the bag of tricks (Luo et al., CVPRW 2019): last stride 1, BNNeck, and a stem by kind.

    michuanhaohao/reid-strong-baseline, `modeling/backbones`: its plain ResNets have no ReLU after the first norm, its
    ResNet with IBN-a has one. Its SENets (Cadene's, `senet.py`) pool the stem without padding; SE-ResNets among them
    have the stride in the first convolution of a block, SE-ResNeXts and SENet-154 in the second.
    """

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads depth, widths and special layers; None where the tensors are no such network's."""
        options = reading.trunk_options(tensors)
        if options is None or options.get("radix") or options.get("stem_pool") == "none":
            return None
        options["last_stride"] = 1
        squeezed = options.get("se") == "conv"
        options["stem_relu"] = squeezed or bool(options["ibn_a"])
        if squeezed:
            options["stem_pool"] = "ceil"
            options["early_stride"] = set(options["groups"]) == {1}  # type: ignore[call-overload]
        return Structure(options)
