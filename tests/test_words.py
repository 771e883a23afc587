from __future__ import annotations

import configparser
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from sysu30k_bench.extras import EXTRAS, how_to_install, missing_package
from sysu30k_bench.words import count, queries_without_match, with_article

ROOT = Path(__file__).parents[1]


def test_one_is_not_several() -> None:
    assert count(1, "tensor") == "1 tensor"
    assert count(0, "tensor") == "0 tensors"
    assert count(478_731, "image") == "478,731 images"
    assert count(1, "query", "queries") == "1 query"
    assert count(2, "image is", "images are") == "2 images are"
    assert queries_without_match(1) == "1 query has no match in the gallery and counts as a miss"
    assert queries_without_match(1200) == "1,200 queries have no match in the gallery and count as misses"


@pytest.mark.parametrize(
    ("word", "said"),
    [("OpenVINO", "an OpenVINO"), ("ONNX", "an ONNX"), ("TorchScript", "a TorchScript"), ("hf", "an hf")],
)
def test_articles(word: str, said: str) -> None:
    assert with_article(word) == said


def test_hints_name_what_a_registry_has_and_the_extra_that_brings_it() -> None:
    """The package itself is on no registry: its name with an extra in brackets cannot be installed."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for package, extra in EXTRAS.items():
        assert re.search(rf"^{package}>", config["options.extras_require"][extra].strip(), re.MULTILINE), package
        assert (
            how_to_install(package)
            == f"pip install {package} (or, in a checkout of this project, pip install '.[{extra}]')"
        )
    assert how_to_install("faiss").startswith("pip install faiss-cpu ")
    assert how_to_install("openvino.runtime").startswith("pip install openvino ")
    assert how_to_install("torchvision") == "pip install torchvision"
    error = missing_package("reports need matplotlib", "matplotlib")
    assert str(error).startswith("reports need matplotlib\nWhat to do: pip install matplotlib")
    assert error.exit_code == 3


def test_nobody_is_told_to_install_this_package_from_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    texts = [ROOT / name for name in listed.stdout.split("\n") if name.endswith((".py", ".md", ".toml", ".j2", ".yml"))]
    told = "sysu30k-bench" + "["
    assert not [path for path in texts if path.is_file() and told in path.read_text("utf-8")]


def test_a_missing_package_is_named_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from sysu30k_bench.cli.network_names import judge_network
    from sysu30k_bench.errors import DataError

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(DataError, match="needs timm") as caught:
        judge_network("timm:resnet50")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("pip install timm")
