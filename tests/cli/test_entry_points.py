"""A package that brings a card, installed as a user installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Outcome

Bench = Callable[..., Outcome]

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "someones-reid"
version = "1.0"
[project.entry-points."sysu30k_bench.adapters"]
someones = "someones_reid:CARD"
[tool.setuptools]
packages = ["someones_reid"]
[tool.setuptools.package-data]
someones_reid = ["*.toml"]
"""
CODE = """
from pathlib import Path
from torch import nn

CARD = Path(__file__).with_name("card.toml")


def build(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
CARD = """
name = "someones"
title = "Someone's network"
[network]
source = "python:someones_reid:build"
options = { width = 6 }
[[checkpoint.layout]]
name = "someones"
requires = ['0\\.weight']
[checkpoint]
recognised_by = ["someones"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Builds and installs the package into a folder of its own; returns the environment that sees it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "someones_reid").mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "someones_reid" / "__init__.py").write_text(CODE)
    (source / "someones_reid" / "card.toml").write_text(CARD)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", target, source], check=True, timeout=300)
    return {"PYTHONPATH": f"{target}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def test_an_installed_packages_card_is_found_by_its_checkpoint(
    bench: Bench, installed: dict[str, str], own_twin: Path, tmp_path: Path
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 8, stride=8))
    torch.save(network.state_dict(), tmp_path / "w.pth")
    run = bench("eval", tmp_path / "w.pth", "--data", own_twin, "--output", tmp_path / "run", "--json", env=installed)
    assert run.code == 0, run.err
    assert run.json["model"]["adapter"] == "someones"
    assert run.json["model"]["dimension"] == 6
    assert "recognised by 0.weight" in run.err


def test_without_the_package_it_is_a_question(bench: Bench, own_twin: Path, tmp_path: Path) -> None:
    torch.save({"0.weight": torch.ones(6, 3, 8, 8), "0.bias": torch.ones(6)}, tmp_path / "w.pth")
    assert bench("eval", tmp_path / "w.pth", "--data", own_twin, "--output", tmp_path / "run").code == 2


def test_a_broken_package_is_named(bench: Bench, installed: dict[str, str]) -> None:
    site = Path(installed["PYTHONPATH"].partition(os.pathsep)[0])
    (site / "someones_reid" / "card.toml").write_text("name = ")
    listed = bench("adapters", "list", env=installed)
    assert listed.code == 2
    assert "someones_reid:CARD" in listed.err
