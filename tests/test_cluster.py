"""The recipes of docs/cluster.md: their options exist, and they run on one machine that stands for several."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from torch.distributed.run import get_args_parser

from sysu30k_bench.cli.main import cli
from tests.conftest import Outcome

PAGE = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text("utf-8")
RECIPES = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.strip()
    for recipe in RECIPES
    for line in recipe.replace("\\\n", " ").splitlines()
    if "sysu30k" in line and not line.startswith("#")
]


def command_of(words: list[str]) -> click.Command:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    return command


@pytest.mark.parametrize("line", COMMANDS)
def test_every_option_exists(line: str) -> None:
    words = shlex.split(re.sub(r"\$\w+", "1", line))
    if words[:3] == ["srun", "bash", "-c"]:
        words = shlex.split(words[3])
    if words[0] == "torchrun":
        at = words.index("-m")
        launched = get_args_parser().parse_args([*words[1:at], "-m", "sysu30k_bench"])
        assert launched.training_script == "sysu30k_bench"
        words = words[at + 1 :]
    assert words.pop(0) in {"sysu30k-bench", "sysu30k_bench"}
    command = command_of(words)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def here(recipe: str, twin: Path, checkpoint: Path, run: Path) -> str:
    """A recipe with this machine's files and two processes in place of eight."""
    recipe = recipe.replace("net_6.pth", str(checkpoint)).replace("/data/SYSU-30k-released", str(twin))
    recipe = recipe.replace("/shared/runs/net_6", str(run)).replace("runs/net_6", str(run))
    recipe = recipe.replace("29500", str(free_port())).replace("node-0", "127.0.0.1")
    return recipe.replace("--nproc-per-node 4", "--nproc-per-node 1")


@pytest.mark.slow
def test_the_recipes_give_the_bytes_of_one_process(
    bench: object, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    assert callable(bench)
    alone: Outcome = bench("eval", stripes_checkpoint, "--data", twin, "--output", tmp_path / "alone")
    assert alone.code == 0
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    for name, code in {"srun": '"$@"', "scontrol": "echo 127.0.0.1"}.items():
        (stubs / name).write_text(f"#!/bin/sh\n{code}\n")
        (stubs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{stubs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NODELIST": "here",
    }
    one, two_nodes, slurm, steps = RECIPES
    for number, (recipe, copies) in enumerate(((one, 1), (two_nodes, 2), (slurm, 1), (steps, 1))):
        run = tmp_path / f"run-{number}"
        text = here(recipe, twin, stripes_checkpoint, run)
        command = ["bash", "-e", "-c", text]
        started = [
            subprocess.Popen(command, env=environment | {"NODE": str(node)}, stderr=subprocess.PIPE)
            for node in range(copies)
        ]
        for process in started:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said.decode()[-3000:]
        assert (run / "ranking.csv").read_bytes() == (tmp_path / "alone" / "ranking.csv").read_bytes()
