"""Where the first weights come from."""

from __future__ import annotations

from pathlib import Path

import torch

from sysu30k_bench.errors import DataError
from sysu30k_bench.models.formats.checkpoint import read_checkpoint
from sysu30k_bench.training.networks import TrainedNetwork, load_imagenet

DOWNLOAD = "imagenet"


def fill(network: TrainedNetwork, weights: str) -> None:
    """Fills a network's trunk.

    Args:
        network: What to fill.
        weights: A file of torchvision's ResNet-50, `imagenet` to download it, or nothing to leave it random.

    Raises:
        DataError: The file does not exist, or nothing can be downloaded.
    """
    if not weights:
        return
    if weights == DOWNLOAD:
        load_imagenet(network, download_imagenet("resnet50"))
        return
    flat = read_checkpoint(Path(weights)).flat
    prefixes = flat.prefixes_of("layer1.0.conv1.weight") or [""]
    load_imagenet(network, dict(flat.below(prefixes[0])))


def download_imagenet(name: str) -> dict[str, torch.Tensor]:
    """Downloads torchvision's first ImageNet weights of a network.

    Args:
        name: As torchvision has it.

    Raises:
        DataError: There are none, or they cannot be downloaded.
    """
    from torchvision.models import get_model_weights

    try:
        return dict(get_model_weights(name)["IMAGENET1K_V1"].get_state_dict(progress=False, check_hash=True))
    except (KeyError, ValueError) as error:
        raise DataError(f"there are no ImageNet weights of {name}", hint="--set network.weights=FILE") from error
    except OSError as error:
        raise DataError(
            f"the ImageNet weights cannot be downloaded: {error}",
            hint="download them elsewhere (resnet50-0676ba61.pth) and name the file: --set network.weights=FILE; "
            "or --set network.weights= for random weights",
        ) from error
