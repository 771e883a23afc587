"""The first layers of a residual network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def stem_convolution(widths: Sequence[int], kernel: int, stride: int) -> nn.Module:
    """Returns one convolution, or several with norm and ReLU between them (a deep stem).

    Args:
        widths: Channels after each convolution.
        kernel: Of each.
        stride: Of the first.

    Returns:
        A convolution, or a Sequential of convolution, norm and ReLU that ends in a convolution.
    """
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        if number:
            layers += [nn.BatchNorm2d(widths[number - 1]), nn.ReLU()]
        features = widths[number - 1] if number else 3
        layers.append(nn.Conv2d(features, width, kernel, 1 if number else stride, kernel // 2, bias=False))
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def stem_pool(kind: str) -> nn.Module:
    """Returns the pooling after the stem: kernel 3, stride 2.

    Args:
        kind: `max` pads by 1 as torchvision does; `ceil` does not pad and rounds the size up, as Caffe and fast-reid;
            `none` does not pool.

    Raises:
        ValueError: There is no such kind.
    """
    if kind == "max":
        return nn.MaxPool2d(3, 2, 1)
    if kind == "ceil":
        return nn.MaxPool2d(3, 2, ceil_mode=True)
    if kind == "none":
        return nn.Identity()
    raise ValueError(f"stem_pool is max, ceil or none, not {kind!r}")
