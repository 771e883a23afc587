"""Images per second of `export`, beside the bare network and beside the authors' loop.

Three ways over the same drawn images with the same random ResNet-50, both views each, interleaved; medians:

- bare: the network alone on a batch that is already in memory, channels last;
- export: what `sysu30k-bench export` does, from JPEG files to shards on the disk;
- authors: what the published script does (ImageFolder, PIL bicubic, DataLoader, two forward passes in
  plain layout without `no_grad`, the feature list grown by concatenation).

Run with `make bench-export`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.models import resnet50

from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.export_step import export_step, prepare_export
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def bare(weights: Path, images: int, batch: int) -> float:
    """Seconds of the network alone."""
    network = resnet50(weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.fc = torch.nn.Identity()
    network = network.eval().to(memory_format=torch.channels_last)
    pixels = torch.rand(batch, 3, 256, 128).contiguous(memory_format=torch.channels_last)
    network(pixels[:2])
    started = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, images, batch):
            part = pixels[: min(batch, images - start)]
            network(part)
            network(part.flip(-1))
    return time.perf_counter() - started


def export(weights: Path, root: Path, batch: int) -> float:
    """Seconds of our export, network loading aside."""
    with tempfile.TemporaryDirectory() as folder:
        request = ExportRequest(weights, root, adapter="resnet50", output=Path(folder) / "run", batch_size=batch)
        return export_step(prepare_export(request, Ranks()), Silent()).seconds


def authors(weights: Path, root: Path, batch: int) -> float:
    """Seconds of the published loop, restated."""
    network = resnet50(weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.fc = torch.nn.Identity()
    network.eval()
    steps = transforms.Compose(
        [transforms.Resize((256, 128), interpolation=3), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    started = time.perf_counter()
    for role in ("query", "gallery"):
        loader = DataLoader(datasets.ImageFolder(root / role, steps), batch_size=batch, num_workers=16)
        features = torch.FloatTensor()
        for pixels, _ in loader:
            summed = torch.zeros(len(pixels), 2048)
            for view in (pixels, pixels.flip(-1)):
                summed = summed + network(view).detach().cpu()
            features = torch.cat((features, summed / summed.norm(dim=1, keepdim=True)))
    return time.perf_counter() - started


@click.command()
@click.option("--identities", default=60, show_default=True)
@click.option("--distractors", default=120, show_default=True)
@click.option("--batch-size", default=32, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(identities: int, distractors: int, batch_size: int, rounds: int) -> None:
    """Times the three ways and prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        root, weights = Path(folder) / "twin", Path(folder) / "resnet50.pth"
        write_twin(root, TwinRequest(identities=identities, distractors=distractors), Silent())
        torch.manual_seed(0)
        torch.save(resnet50(weights=None).state_dict(), weights)
        images, layout = 2 * identities + distractors, open_test_set(root).root
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: bare(weights, images, batch_size),
            "export": lambda: export(weights, root, batch_size),
            "authors": lambda: authors(weights, layout, batch_size),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds[name].append(way())
    median = {name: statistics.median(values) for name, values in seconds.items()}
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{images} images, batches of {batch_size}, {rounds} rounds")
    click.echo(f"{machine.processor}, torch {torch.__version__}\n")
    click.echo("| way | images/s | export against it |\n| --- | --- | --- |")
    for name, value in median.items():
        click.echo(f"| {name} | {images / value:.1f} | {value / median['export']:.2f} |")


if __name__ == "__main__":
    main()
