"""Where the first weights come from."""

from __future__ import annotations

from pathlib import Path

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
        DataError: The file is not there, or nothing can be downloaded.
    """
    if not weights:
        return
    if weights == DOWNLOAD:
        from torchvision.models import ResNet50_Weights

        try:
            state = ResNet50_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise DataError(
                f"the ImageNet weights cannot be downloaded: {error}",
                hint="download resnet50-0676ba61.pth elsewhere and name it: --set network.weights=FILE; "
                "or --set network.weights= for random weights",
            ) from error
        load_imagenet(network, dict(state))
        return
    flat = read_checkpoint(Path(weights)).flat
    prefixes = flat.prefixes_of("layer1.0.conv1.weight") or [""]
    load_imagenet(network, dict(flat.below(prefixes[0])))
