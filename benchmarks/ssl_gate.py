"""A gate between two checkpoints of one self-supervised training: late against early, and early against late.

`make experiment-ssl-gate`: SimCLR by the library lightly, from random weights, on drawn people without any label; then
the commands `eval` and `gate` as a project's build would run them. The late checkpoint has to pass against the early
one, and the early one to fail against the late one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from sysu30k_bench.data.synth.twin import TwinRequest, write_twin
from sysu30k_bench.evaluation.environment import this_machine
from sysu30k_bench.progress import Silent

SIZE = (128, 64)


class SimCLR(nn.Module):
    """A ResNet-18 and SimCLR's projection head, named as public SimCLR ports name them."""

    def __init__(self) -> None:
        super().__init__()
        from lightly.models.modules import SimCLRProjectionHead
        from torchvision.models import resnet18

        self.encoder = resnet18(weights=None)
        self.encoder.fc = nn.Identity()
        self.projector = SimCLRProjectionHead(512, 512, 128)

    def forward(self, images: Tensor) -> Tensor:
        """Projects (N, 3, H, W) images to (N, 128)."""
        projected: Tensor = self.projector(self.encoder(images))
        return projected


def train(images: Path, epochs: int, batch: int, early: Path, late: Path) -> None:
    """Trains, and keeps the weights after the first epoch and after the last."""
    from lightly.data import LightlyDataset
    from lightly.loss import NTXentLoss
    from lightly.transforms.multi_view_transform import MultiViewTransform
    from torchvision.transforms import v2

    torch.manual_seed(0)
    # hue tells people apart here and in life: weaker jitter than on ImageNet, and no greyscale
    view = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, scale=(0.4, 1.0), ratio=(0.35, 0.7)),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.4, 0.4, 0.3, 0.05),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    data = LightlyDataset(str(images), transform=MultiViewTransform([view, view]))
    loader = torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True, drop_last=True)
    network = SimCLR().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    criterion = NTXentLoss(temperature=0.2)
    for epoch in range(epochs):
        total = 0.0
        for (first, second), *_ in loader:
            loss = criterion(network(first), network(second))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        click.echo(f"epoch {epoch + 1} of {epochs}: loss {total / len(loader):.3f}")
        if epoch + 1 in {1, epochs}:
            torch.save({"state_dict": network.state_dict()}, early if epoch + 1 < epochs else late)


def bench(*words: object) -> int:
    """Runs the command line, shows what it says, and returns its exit code."""
    command = [sys.executable, "-m", "sysu30k_bench", *map(str, words)]
    click.echo("$ sysu30k-bench " + " ".join(map(str, words)))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    click.echo(done.stdout + (f"exit {done.returncode}" if words[0] == "gate" else ""))
    if words[0] != "gate" and done.returncode:
        raise click.ClickException(done.stderr)
    return done.returncode


@click.command()
@click.option("--epochs", default=6, show_default=True)
@click.option("--batch", default=96, show_default=True)
@click.option("--people", default=400, show_default=True, help="To train on, twelve images each.")
@click.option("--distractors", default=3000, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for everything; a temporary one if not given.")
def main(epochs: int, batch: int, people: int, distractors: int, keep: Path | None) -> None:
    """Train, evaluate both checkpoints, and gate each against the other."""
    machine = this_machine(torch.device("cpu"))
    click.echo(f"{machine.processor}; torch {machine.libraries['torch']}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as name:
        folder = keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        twin, early, late = folder / "twin", folder / "early.pth", folder / "late.pth"
        write_twin(twin, TwinRequest(distractors=distractors, training=people, training_images=12), Silent())
        train(twin / "sysu_train_set_all", epochs, batch, early, late)
        for checkpoint in (early, late):
            bench("eval", checkpoint, "--data", twin, "--output", folder / checkpoint.stem)
        passed = bench("gate", folder / "late", "--baseline", folder / "early", "--max-drop", "1pp")
        failed = bench("gate", folder / "early", "--baseline", folder / "late", "--max-drop", "1pp")
    if (passed, failed) != (0, 1):
        raise click.ClickException("the gate did not tell the two apart")


if __name__ == "__main__":
    main()
