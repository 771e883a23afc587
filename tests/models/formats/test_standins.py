"""Descriptions of objects are opened, walked and measured as far as they go, however they hold one another."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.models.formats.faults import Damaged
from sysu30k_bench.models.formats.pickles import unfold as unfolding
from sysu30k_bench.models.formats.pickles.extent import settle
from sysu30k_bench.models.formats.pickles.standin import Global, StandIn
from sysu30k_bench.models.formats.pickles.unfold import contents, module_tensors, standins, unfold

KIND = Global("x", "Y")
ONE, TWO = torch.ones(1), torch.zeros(2)


def described(state: object = None, **parts: Any) -> StandIn:
    made = StandIn(KIND)
    if state is not None:
        made.states.append(state)
    for name, value in parts.items():
        setattr(made, name, value)
    return made


def module(children: dict[Any, object] | None = None, **parameters: object) -> StandIn:
    return described({"_parameters": parameters, "_buffers": {}, "_modules": {} if children is None else children})


def test_a_module_gives_parameters_then_buffers_then_those_of_its_parts_in_their_order() -> None:
    part = described({"_parameters": {"p": ONE}, "_buffers": {}, "_modules": {"in": module(w=TWO)}})
    outer = described(
        {
            "_parameters": described(items={"p": ONE, "none": None}),
            "_buffers": {"kept": TWO, "passing": ONE, "none": None},
            "_non_persistent_buffers_set": {"passing", "p"},
            "_modules": described(items={"b": part, 3: module(w=ONE), "none": None, "odd": {"w": ONE}, "a": part}),
        }
    )
    found = module_tensors(outer)
    assert list(found) == ["p", "kept", "b.p", "b.in.w", "3.w", "a.p", "a.in.w"]
    assert [value is ONE for value in found.values()] == [True, False, True, False, True, True, False]


def test_a_module_that_lost_parts_gives_what_is_there() -> None:
    assert module_tensors(described({"_buffers": {"w": ONE}, "_non_persistent_buffers_set": None})) == {"w": ONE}
    assert module_tensors(described({"_buffers": [ONE], "_modules": 5})) == {}


def test_a_module_inside_itself_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "MOST_MODULES", 10)
    children: dict[Any, object] = {}
    outer = module(children, w=ONE)
    children.update(a=outer, b=module({"c": outer}, w=TWO))
    assert list(module_tensors(outer)) == ["w", "b.w"]


def test_modules_are_followed_to_a_depth_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = module(w=ONE)
    for _ in range(200):
        chain = module({"a": chain})
    assert list(module_tensors(chain)) == ["a." * 200 + "w"]
    with pytest.raises(IntegrityError, match=r"^a module in it holds modules without end") as caught:
        module_tensors(module({"a": chain}))
    assert caught.value.hint == "save `model.state_dict()` instead"
    monkeypatch.setattr(unfolding, "MOST_MODULES", 3)
    assert module_tensors(module({"a": module(), "b": module(w=ONE)})) == {"b.w": ONE}
    with pytest.raises(IntegrityError, match=r"^a module in it holds modules without end"):
        module_tensors(module({"a": module(), "b": module(), "c": module()}))


def test_what_a_description_holds() -> None:
    slots = (None, {"s": 1})
    assert contents(described(({"a": 1}, {"b": 2}))) == {"a": 1, "b": 2}
    assert contents(described(slots, items={"k": 2}, appended=[3])) == {"s": 1, "k": 2}
    assert contents(described({"a": 1, 5: 2}, items={"a": 3})) == {"a": 3}
    assert contents(described(({"a": 1}, {"b": 2}, {"c": 3}), appended=[3])) == [3]
    assert contents(module(w=ONE)) == {"w": ONE}
    for empty in (described(), described({}), described(5)):
        assert contents(empty) is empty
    for made_by in (Global("torch._utils", "f"), Global("torch.sparse", "f"), Global("x", "_rebuild_y")):
        tensor = StandIn(made_by)
        tensor.states.append({"a": 1})
        assert contents(tensor) is tensor
    assert not described({"_parameters": {}}).is_module
    assert not described({"_modules": {}, "_parameters": []}).is_module
    assert repr(described()) == "<stand-in for x.Y>"


def test_opening_goes_on_after_what_is_empty_or_was_opened() -> None:
    empty, shared, last = described(), described({"a": 1}), described({"b": [described(appended=[2])]})
    found: Any = unfold({"empty": empty, "first": shared, "second": shared, "tuple": (last, 3), "list": [empty, last]})
    assert found["empty"] is empty
    assert found["first"] == {"a": 1}
    assert found["second"] is shared
    assert found["tuple"] == [{"b": [[2]]}, 3]
    assert found["list"] == [empty, last]


def test_a_container_in_two_places_stays_one_and_the_original_stays_as_it_was() -> None:
    inner = described({"a": 1})
    shared = {"x": inner}
    content = {"one": shared, "two": [shared]}
    found: Any = unfold(content)
    assert found == {"one": {"x": {"a": 1}}, "two": [{"x": {"a": 1}}]}
    assert found["one"] is found["two"][0]
    assert content["one"] is shared
    assert shared == {"x": inner}


def test_what_has_no_end_once_opened_is_refused() -> None:
    deep: object = 1
    for _ in range(150):
        deep = described({"a": deep})
    with pytest.raises(IntegrityError, match="cannot be opened: its values are nested beyond reason") as caught:
        unfold(deep)
    assert "state_dict" in str(caught.value.hint)


@pytest.mark.parametrize("place", ["args", "states", "items", "appended"])
def test_descriptions_are_found_wherever_they_are_held_and_once(place: str) -> None:
    inner = described()
    held: dict[str, Any] = {"args": (inner, 1), "states": [1, inner], "items": {1: inner}, "appended": [inner]}
    outer = described(**{place: held[place]})
    inner.appended.append(outer)
    assert {id(value) for value in standins([{"a": (outer, 1)}, inner])} == {id(outer), id(inner)}
    assert len(list(standins([outer, inner, outer]))) == 2


@pytest.mark.parametrize("place", ["args", "kwargs", "states", "items", "appended"])
def test_what_a_description_holds_is_cut_where_it_holds_itself(place: str) -> None:
    circle: list[object] = [1]
    circle.append(circle)
    held: dict[str, Any] = {
        "args": (circle,),
        "kwargs": {"a": circle},
        "states": [circle],
        "items": {1: circle},
        "appended": [circle],
    }
    outer = described(**{place: held[place]})
    settle([{"a": (outer, outer)}], 10)
    assert str(circle[1]) == "a container that holds itself"
    with pytest.raises(Damaged, match="nested beyond reason"):
        settle(described(**{place: held[place]}), 2)


def test_a_circle_through_a_tuple_is_cut_at_what_can_be_changed() -> None:
    outer: dict[str, object] = {"w": ONE}
    inner: list[object] = [2, (outer, 3)]
    outer["in"] = (inner,)
    settle(outer, 100)
    assert outer["w"] is ONE
    assert [str(part) for part in inner] == ["2", "a container that holds itself"]


def nest(depth: int, value: object = 1) -> list[object]:
    found = [value]
    for _ in range(depth - 1):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "size"),
    [
        *(([], 0), ([1], 2), ([1, 2, 3], 4), ((1, (2,)), 4), ({"a": 1, "b": {"c": 2}}, 4), ({1, 2}, 3)),
        *(([frozenset({1})], 3), ([[1]] * 3, 7), ([[[1]] * 3] * 3, 22), ([described(), []], 3), (nest(100), 101)),
    ],
)
def test_values_are_counted_as_often_as_they_are_held(value: object, size: int) -> None:
    settle(value, size)
    if size:
        with pytest.raises(Damaged, match=r"^its values are nested beyond reason$"):
            settle(value, size - 1)


@pytest.mark.parametrize("deep", [nest(101), [nest(100)], [*[nest(99)] * 2, [nest(99)]], {"a": (nest(99),)}])
def test_values_of_more_than_a_hundred_levels_are_refused(deep: object) -> None:
    with pytest.raises(Damaged, match=r"^its values are nested beyond reason$"):
        settle(deep, 10_000)


def test_a_shared_value_counts_with_its_levels() -> None:
    shared = nest(98)
    settle([shared, [shared], 1], 10_000)
    settle([nest(99), 1, [1]], 10_000)
    with pytest.raises(Damaged, match=r"^its values are nested beyond reason$"):
        settle([shared, [[shared]]], 10_000)
