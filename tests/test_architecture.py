"""The house: rooms import only rooms to their left, files stay small, packaging names every package."""

from __future__ import annotations

import ast
import configparser
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sysu30k_bench"
ROOMS = [
    "data",
    "models",
    "embeddings",
    "search",
    "metrics",
    "results",
    "evaluation",
    "gate",
    "diagnostics",
    "training",
    "board",
    "report",
    "demo",
    "api",
    "cli",
]


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names |= {module.split(".")[1] for module in modules if module.startswith("sysu30k_bench.")}
    return names & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(path) <= allowed, path


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """What a module imports within the package as it is loaded, for types too, but not inside functions."""
    found = set()
    todo: list[ast.stmt] = list(ast.parse(path.read_text("utf-8")).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If):
            todo += node.body
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & known


def test_no_files_import_each_other_in_a_circle() -> None:
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    imports = {name: imported_modules(path, set(paths)) - {name} for name, path in paths.items()}
    graphlib.TopologicalSorter(imports).prepare()


def test_files_stay_small() -> None:
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        assert len(path.read_text("utf-8").splitlines()) <= 400, path


def test_setup_names_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert listed == found | {"sysu30k_bench.adapters", "sysu30k_bench.leaderboard"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sysu30k_bench.cli.main import cli; cli(['--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'numpy', 'pandas', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path / "dist"),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(tmp_path / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    env = {"PYTHONPATH": str(tmp_path / "site"), "PATH": ""}
    where = [sys.executable, "-c", "import sysu30k_bench, pathlib; print(pathlib.Path(sysu30k_bench.__file__).parent)"]
    done = subprocess.run(where, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "site" / "sysu30k_bench")
    assert (tmp_path / "site/sysu30k_bench/py.typed").is_file()
    command = [str(tmp_path / "site/bin/sysu30k-bench")]
    for words, said in ((["adapters", "list"], "moco_v2"), (["leaderboard", "show"], "IICS"), (["--version"], "0.1.0")):
        done = subprocess.run(
            [sys.executable, *command, *words], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
