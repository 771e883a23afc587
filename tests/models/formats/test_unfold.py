"""Stand-ins of modules and of other objects give their tensors by the names that they had."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.unfold import module_tensors, standins, unfold
from sysu30k_bench.models.formats.read import read, read_content
from tests.models.formats.making import WEIGHTS, forget, made_up, same, tensors, torch_bytes

KINDS = ["zip", "legacy", "pickle"]


def write(path: Path, content: object, kind: str) -> Path:
    path.write_bytes(pickle.dumps(content) if kind == "pickle" else torch_bytes(content, kind))
    return path


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.stem = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1, bias=False), norm=nn.BatchNorm2d(4)))
        self.again = self.stem.conv
        self.nothing = nn.Identity()
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("passing", torch.arange(3), persistent=False)
        self.register_parameter("absent", None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outer", [False, True])
def test_a_module_gives_its_state_dict(tmp_path: Path, kind: str, outer: bool) -> None:
    net = nn.DataParallel(Net())
    path = write(tmp_path / "w.pth", {"model": net, "epoch": 3} if outer else net, kind)
    found = read(path)
    expected = dict(net.state_dict())
    content: Any = unfold(found.content)
    assert same(content["model"] if outer else content, expected)
    assert list(content["model"] if outer else content) == list(expected)
    assert found.root == ("" if outer else "torch.nn.parallel.data_parallel.DataParallel")
    if outer:
        model: Any = found.content["model"]
        assert isinstance(model, StandIn)
        assert model.is_module
        assert same(module_tensors(model), expected)


def test_a_graph_module(tmp_path: Path) -> None:
    net = torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    torch.save(net, tmp_path / "w.pth")
    assert same(dict(read_content(tmp_path / "w.pth")), dict(net.state_dict()))


@pytest.mark.parametrize("kind", KINDS)
def test_objects_that_are_not_installed(tmp_path: Path, kind: str) -> None:
    config = made_up("nowhere.config.Config", dict)
    steps = made_up("nowhere.config.Steps", list)
    ema_type = made_up("nowhere.ema.Ema")
    slots = made_up("nowhere.ema.Slots")
    slots.__slots__ = ("a",)  # type: ignore[attr-defined]
    ema: Any = ema_type()
    ema.decay, ema.state_dict = 0.999, dict(WEIGHTS)
    ema.owner = ema
    listed = steps([1, 2])
    settings = config(lr=0.1, inner=config(deep=1))
    settings.filename = "x.py"
    content = {"state_dict": dict(WEIGHTS), "ema": ema, "config": settings, "steps": listed, "type": ema_type}
    path = write(tmp_path / "w.pth", content, kind)
    forget("nowhere")
    found: Any = read_content(path)
    assert same(found["state_dict"], WEIGHTS)
    assert str(found["type"]) == "nowhere.ema.Ema"
    opened: Any = unfold(found)
    assert same(opened["ema"]["state_dict"], WEIGHTS)
    assert opened["config"] == {"filename": "x.py", "lr": 0.1, "inner": {"deep": 1}}
    assert opened["steps"] == [1, 2]
    assert set(tensors(opened)) == {f"{place}.{name}" for place in ("state_dict", "ema.state_dict") for name in WEIGHTS}
    assert {str(value) for value in standins(found)} >= {
        "nowhere.ema.Ema",
        "nowhere.config.Config",
        "nowhere.config.Steps",
    }


def test_classes_as_keys(tmp_path: Path) -> None:
    """As Lightning keeps the states of callbacks; two of them, with nothing of theirs installed."""
    first, second = made_up("nowhere.callbacks.First"), made_up("nowhere.callbacks.Second")
    torch.save({"callbacks": {first: {"best": 1.0}, second: {}}, "state_dict": dict(WEIGHTS)}, tmp_path / "w.pth")
    forget("nowhere")
    found: Any = read_content(tmp_path / "w.pth")
    assert [str(key) for key in found["callbacks"]] == ["nowhere.callbacks.First", "nowhere.callbacks.Second"]
    assert found["callbacks"][Global("nowhere.callbacks", "First")] == {"best": 1.0}
    assert read(tmp_path / "w.pth").named[:2] == ("collections.OrderedDict", "nowhere.callbacks.First")


def test_ordered_dicts_of_a_subclass_are_state_dicts_too(tmp_path: Path) -> None:
    own = made_up("nowhere.state.StateDict", OrderedDict)
    torch.save(own(WEIGHTS), tmp_path / "w.pth")
    forget("nowhere")
    assert same(dict(read_content(tmp_path / "w.pth")), WEIGHTS)


def test_objects_that_hold_one_another_come_to_an_end(tmp_path: Path) -> None:
    trainer, model = Namespace(), Net()
    trainer.model, trainer.callbacks = model, [Namespace(trainer=trainer, model=model) for _ in range(50)]
    for callback in trainer.callbacks:
        callback.others = trainer.callbacks
    torch.save({"trainer": trainer, "callbacks": trainer.callbacks}, tmp_path / "w.pth")
    opened: Any = unfold(read_content(tmp_path / "w.pth"))
    assert same(opened["trainer"]["model"], dict(model.state_dict()))


def test_modules_without_end() -> None:
    inner: StandIn | None = None
    for _ in range(40):
        module = StandIn(Global("x", "Y"))
        module.states.append({"_parameters": {}, "_modules": {"a": inner, "b": inner}})
        inner = module
    assert inner is not None
    with pytest.raises(IntegrityError, match="without end"):
        module_tensors(inner)


def test_a_parameter_that_other_tensors_explain_is_no_plain_tensor(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
    weight.SCB = torch.ones(1)  # type: ignore[attr-defined]
    tagged = nn.Parameter(torch.ones(2))
    tagged.parallel = True  # type: ignore[attr-defined]
    torch.save({"quantised": weight, "tagged": tagged}, tmp_path / "w.pth")
    found: Any = read_content(tmp_path / "w.pth")
    assert found["quantised"].is_tensor
    assert found["tagged"].tolist() == [1.0, 1.0]


def test_what_a_function_would_have_made_of_weights_is_not_taken_for_them(tmp_path: Path) -> None:
    class Sneaky:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.neg, (WEIGHTS["conv.bias"],)

    torch.save({"a": WEIGHTS["conv.weight"], "b": Sneaky()}, tmp_path / "w.pth")
    opened: Any = unfold(read_content(tmp_path / "w.pth"))
    assert set(tensors(opened)) == {"a"}
    assert isinstance(opened["b"], StandIn)
