"""Images per second of `export` by each backend, beside the backend alone, the bare network and the authors' loop.

Ways over the same drawn images with the same random ResNet-50, both views each, interleaved round by round; medians:

- bare eager: the network alone on a batch that is already in memory, channels last;
- bare BACKEND: the same through a backend;
- export BACKEND: what `sysu30k-bench export --backend BACKEND` does, from JPEG files to shards on the disk;
- authors: what the published script does (ImageFolder, PIL bicubic, DataLoader, two forward passes in
  plain layout without `no_grad`, the feature list grown by concatenation).

Run with `make bench-export`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision.models import resnet50

from sysu30k_bench.arithmetic import full_float32
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.embedding.export_step import PreparedExport, export_step, prepare_export
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.models.backends.contract import Job, Runner
from sysu30k_bench.models.backends.registry import BACKENDS
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Silent

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Bare:
    """A backend's network alone, made once.

    Args:
        weights: The ResNet-50.
        name: The backend.
        batch: Images in one forward pass.
        device: Where it runs.
        bf16: Compute in bfloat16.
    """

    def __init__(self, weights: Path, name: str, batch: int, device: torch.device, *, bf16: bool) -> None:
        network = resnet50(weights=None)
        network.load_state_dict(torch.load(weights, weights_only=True))
        network.fc = torch.nn.Identity()
        network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.run: Runner = network
        if name != "eager":
            self.run = BACKENDS[name](network, Job(batch, 256, 128, device, bf16))
        self.pixels = torch.rand(batch, 3, 256, 128, device=device).contiguous(memory_format=torch.channels_last)
        self.bf16 = bf16
        for _ in range(3):  # libraries prepare themselves, CUDA graphs are captured
            self.seconds(batch)

    @torch.inference_mode()
    def seconds(self, images: int) -> float:
        """Times so many images, both views each."""
        batch = len(self.pixels)
        started = time.perf_counter()
        with full_float32(), torch.autocast(self.pixels.device.type, torch.bfloat16, enabled=self.bf16):
            for start in range(0, images, batch):
                part = self.pixels[: min(batch, images - start)]
                self.run(part)
                self.run(part.flip(-1))
        if self.pixels.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def prepared(weights: Path, root: Path, name: str, batch: int, device: str, compute: str) -> PreparedExport:
    """Loads the network for an export by a backend; the shards go to a folder that each run has for itself."""
    request = ExportRequest(
        weights,
        root,
        adapter="resnet50",
        output=root / "never",
        batch_size=batch,
        device=device,
        backend=name,  # type: ignore[arg-type]
        compute=compute,  # type: ignore[arg-type]
    )
    return prepare_export(request, Ranks())


def export(ready: PreparedExport) -> float:
    """Seconds of an export, network loading aside."""
    with tempfile.TemporaryDirectory() as folder:
        return export_step(replace(ready, folder=RunFolder(Path(folder) / "run")), Silent()).now.seconds


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
@click.option("--device", default="cpu", show_default=True)
@click.option("--compute", default="fp32", show_default=True)
@click.option("--backend", "names", multiple=True, default=["eager", "onnxruntime", "openvino"], show_default=True)
@click.option("--authors/--no-authors", "beside_authors", default=True, show_default=True)
def main(
    identities: int,
    distractors: int,
    batch_size: int,
    rounds: int,
    device: str,
    compute: str,
    names: tuple[str, ...],
    beside_authors: bool,
) -> None:
    """Times the ways and prints a table."""
    place, bf16 = torch.device(device), compute == "bf16"
    with tempfile.TemporaryDirectory() as folder:
        root, weights = Path(folder) / "twin", Path(folder) / "resnet50.pth"
        write_twin(root, TwinRequest(identities=identities, distractors=distractors), Silent())
        torch.manual_seed(0)
        torch.save(resnet50(weights=None).state_dict(), weights)
        images, layout = 2 * identities + distractors, open_test_set(root).root
        ways: dict[str, Callable[[], float]] = {}
        plain = Bare(weights, "eager", batch_size, place, bf16=False)
        ways["bare eager"] = partial(plain.seconds, images)
        for name in names:
            if name != "eager" or bf16:
                alone = Bare(weights, name, batch_size, place, bf16=bf16)
                ways[f"bare {name} {compute}" if bf16 else f"bare {name}"] = partial(alone.seconds, images)
            ways[f"export {name} {compute}" if bf16 else f"export {name}"] = partial(
                export, prepared(weights, root, name, batch_size, device, compute)
            )
        if beside_authors:
            ways["authors"] = lambda: authors(weights, layout, batch_size)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds[name].append(way())
    machine = this_machine(place)
    click.echo(f"{images} images, batches of {batch_size}, {rounds} rounds, {torch.get_num_threads()} threads")
    click.echo(f"{machine.processor}, {machine.device}, torch {torch.__version__}\n")
    click.echo("| way | images/s, median | times bare eager, median | least to most |\n| --- | --- | --- | --- |")
    for name, values in seconds.items():
        ratios = sorted(base / value for base, value in zip(seconds["bare eager"], values, strict=True))
        click.echo(
            f"| {name} | {images / statistics.median(values):.1f} | {statistics.median(ratios):.2f} "
            f"| {ratios[0]:.2f} to {ratios[-1]:.2f} |"
        )


if __name__ == "__main__":
    main()
