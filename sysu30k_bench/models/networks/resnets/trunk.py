"""A residual network of any depth and width, with the layers that re-ID puts into it, and the options off its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets import reading
from sysu30k_bench.models.networks.resnets.blocks import BasicBlock, BlockForm, Bottleneck
from sysu30k_bench.models.networks.resnets.neck import Neck
from sysu30k_bench.models.networks.resnets.nonlocal_ import NonLocal
from sysu30k_bench.models.networks.resnets.pools import pool_of
from sysu30k_bench.models.networks.resnets.stem import stem_convolution, stem_pool


class ResNetTrunk(nn.Module):
    """Stem, stages of residual blocks, pooling, and a neck where there is one.

    Tensors have torchvision's names (`conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.downsample.0` ...), with `bn1.IN` and
    `bn1.BN` for IBN-a, `IN` for IBN-b, `se.fc1` or `se.fc.0` for squeeze and excitation, `NL_2.0` for the non-local
    blocks of the second stage, `conv1.0`, `conv1.1`, `conv1.3` ... for a deep stem, `pool.p` for a learnt exponent,
    `neck.embed` and `neck.norm`. `structure` reads from a file all but what these arguments fix and no tensor shows:
    `stem_relu`, `stem_pool`, `last_stride`, `last_dilation`, `early_stride`, `pool` other than `gem`, `neck_relu`.

    Args:
        block: `basic` (ResNet-18 and 34) or `bottleneck`.
        blocks: How many in each stage.
        entries: For each stage, channels after a block's first convolution.
        widths: The same after its second.
        outputs: The same at its end.
        groups: Groups of the second convolution in each stage.
        strides: Of each stage, but for the last.
        last_stride: Of the last stage: 2 as in ImageNet training, or 1 (Luo et al., CVPRW 2019, section 3.5).
        last_dilation: Of the 3 x 3 convolutions in the last stage after its first block.
        early_stride: The first convolution of a block has the stride, as in Caffe's ResNet, not the second.
        stem: Channels of the stem's convolutions; more than one is a deep stem.
        stem_kernel: Their kernel.
        stem_stride: The stride of the first.
        stem_norm: `batch`, or `instance` (IBN-b).
        stem_relu: Whether a ReLU follows.
        stem_pool: `max`, `ceil` or `none`, see `stem_pool`.
        shortcut_kernel: Kernel of the shortcuts after the first stage.
        average_shortcut: Shortcuts pool before their convolution.
        ibn_a: Blocks with instance and batch norm, such as `layer1.0`.
        ibn_b: Blocks with instance norm after the sum.
        se: `conv`, `linear` or empty for no squeeze and excitation.
        se_widths: Inner channels of it, or of split attention, in each stage.
        radix: Splits of ResNeSt's convolutions, 0 for none.
        non_local: For each stage, how many of its last blocks are followed by a non-local block.
        non_local_widths: Inner channels of those in each stage; 1 where empty.
        pool: `avg`, `max`, `gem` (exponent learnt), `gem_fixed` (exponent 3) or `avg_max` (sum).
        embedding: Features of an embedding layer after the pooling; 0 for none.
        embedding_kind: `linear` or `conv`.
        embedding_bias: Whether it has a bias.
        neck: Whether a batch norm ends the network.
        neck_relu: Whether a ReLU follows.

    Raises:
        ValueError: `last_stride` is neither 1 nor 2.
    """

    def __init__(
        self,
        block: str = "bottleneck",
        blocks: Sequence[int] = (3, 4, 6, 3),
        entries: Sequence[int] = (64, 128, 256, 512),
        widths: Sequence[int] = (64, 128, 256, 512),
        outputs: Sequence[int] = (256, 512, 1024, 2048),
        groups: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[int] = (1, 2, 2),
        last_stride: int = 2,
        last_dilation: int = 1,
        *,
        early_stride: bool = False,
        stem: Sequence[int] = (64,),
        stem_kernel: int = 7,
        stem_stride: int = 2,
        stem_norm: str = "batch",
        stem_relu: bool = True,
        stem_pool: str = "max",
        shortcut_kernel: int = 1,
        average_shortcut: bool = False,
        ibn_a: Sequence[str] = (),
        ibn_b: Sequence[str] = (),
        se: str = "",
        se_widths: Sequence[int] = (),
        radix: int = 0,
        non_local: Sequence[int] = (),
        non_local_widths: Sequence[int] = (),
        pool: str = "avg",
        embedding: int = 0,
        embedding_kind: str = "linear",
        embedding_bias: bool = True,
        neck: bool = False,
        neck_relu: bool = False,
    ) -> None:
        super().__init__()
        if last_stride not in {1, 2}:
            raise ValueError(f"last_stride is 1 or 2, not {last_stride}")
        build = {"basic": BasicBlock, "bottleneck": Bottleneck}[block]
        instance = {**dict.fromkeys(ibn_a, "a"), **dict.fromkeys(ibn_b, "b")}
        self.stages = len(blocks)
        self.features = outputs[-1]
        self.conv1 = stem_convolution(stem, stem_kernel, stem_stride)
        self.bn1 = nn.InstanceNorm2d(stem[-1], affine=True) if stem_norm == "instance" else nn.BatchNorm2d(stem[-1])
        self.relu = nn.ReLU() if stem_relu else nn.Identity()
        self.maxpool = _stem_pool(stem_pool)
        entered = stem[-1]
        for stage in range(self.stages):
            last = stage == self.stages - 1
            layers: list[nn.Module] = []
            for number in range(blocks[stage]):
                form = BlockForm(
                    features=outputs[stage] if number else entered,
                    entry=entries[stage],
                    width=widths[stage],
                    out=outputs[stage],
                    stride=1 if number else last_stride if last else strides[stage],
                    dilation=last_dilation if last and number else 1,
                    groups=groups[stage],
                    instance=instance.get(f"layer{stage + 1}.{number}", ""),
                    se=se,
                    se_width=se_widths[stage] if se_widths else 0,
                    radix=radix,
                    smooth=radix > 0 and stage > 0 and not number,
                    early_stride=early_stride,
                    shortcut_kernel=shortcut_kernel if stage else 1,
                    average_shortcut=average_shortcut,
                )
                layers.append(build(form))
            entered = outputs[stage]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            count = non_local[stage] if non_local else 0
            if count:
                others = [NonLocal(entered, non_local_widths[stage] if non_local_widths else 1) for _ in range(count)]
                self.add_module(f"NL_{stage + 1}", nn.ModuleList(others))
        self.pool = pool_of(pool)
        self.neck = Neck(self.features, embedding, kind=embedding_kind, bias=embedding_bias, norm=neck, relu=neck_relu)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads depth, widths and special layers; None where the tensors are no such network's."""
        options = reading.trunk_options(tensors)
        return None if options is None else Structure(options=options)

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to the last stage's map (N, C, h, w)."""
        maps: torch.Tensor = self.stem_maps(images)
        for number in range(1, self.stages + 1):
            maps = self.stage(number, maps)
        return maps

    def stem_maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps images (N, 3, H, W) to the first stage's input."""
        maps: torch.Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return maps

    def stage(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Runs one stage, counted from 1, with the non-local blocks behind its last residual blocks."""
        blocks = list(self.get_submodule(f"layer{number}").children())
        others = list(self.get_submodule(f"NL_{number}").children()) if hasattr(self, f"NL_{number}") else []
        for position, block in enumerate(blocks, start=len(others) - len(blocks)):
            maps = block(maps)
            if position >= 0:
                maps = others[position](maps)
        return maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        feature: torch.Tensor = self.neck(self.pool(self.maps(images)))
        return feature


_stem_pool = stem_pool
