"""Batches: as the recipes say, the same for ever, and blind to who is who inside a frozen bag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.data.weak.open_training_set import open_training_set
from sysu30k_bench.errors import UsageError
from sysu30k_bench.training.agreement import matched_share
from sysu30k_bench.training.plans import Batch, IdentityBags, Plan, PublishedBags, WindowBags
from tests.data.weak.sets import write_training_set

IDENTITY = np.random.default_rng(0).permutation(np.repeat(np.arange(37), 6))


def identity_bags(
    identity: np.ndarray = IDENTITY, *, redraw: bool = False, seed: int = 0, bag: int = 2
) -> IdentityBags:
    return IdentityBags(identity, 8, bag, 4, redraw=redraw, seed=seed)


def published(tmp_path: Path, seed: int = 0) -> PublishedBags:
    found = open_training_set(write_training_set(tmp_path / "set", 9))
    return PublishedBags(found.bags, found.listed, 4, 6, seed=seed)


def equal(left: Batch, right: Batch) -> bool:
    return np.array_equal(left.rows, right.rows) and left.classes == right.classes


def test_market1501_gives_the_released_numbers() -> None:
    identity = np.repeat(np.arange(751), 17)
    plan = IdentityBags(identity, 16, 2, 4, redraw=True, seed=0)
    assert plan.length() == 46
    batch = plan.batch(0, 45)
    assert len(batch.rows) == 64
    assert len(batch.classes) == 8
    assert all(len(bag) == 2 for bag in batch.classes)


@pytest.mark.parametrize("redraw", [True, False])
def test_labels_hold_who_is_in_the_bag(redraw: bool) -> None:
    plan = identity_bags(redraw=redraw)
    for epoch in range(3):
        seen: list[int] = []
        for number in range(plan.length()):
            batch = plan.batch(epoch, number)
            for row, bag in zip(batch.rows, batch.bag, strict=True):
                assert IDENTITY[row] in batch.classes[bag]
            seen += [person for bag in batch.classes for person in bag]
        assert len(set(seen)) == len(seen) == 32


def test_redrawn_bags_show_each_identity_equally_and_frozen_ones_need_not() -> None:
    counts = np.bincount(IDENTITY[identity_bags(redraw=True).batch(0, 0).rows])
    assert set(counts[counts > 0]) == {4}
    uneven = [np.bincount(IDENTITY[identity_bags().batch(epoch, 0).rows]) for epoch in range(5)]
    assert any(set(counts[counts > 0]) != {4} for counts in uneven)


def test_frozen_bags_keep_their_company_and_redrawn_ones_do_not() -> None:
    frozen, redrawn = identity_bags(), identity_bags(redraw=True)
    assert sorted(map(sorted, frozen.groups(0))) == sorted(map(sorted, frozen.groups(7)))
    assert frozen.groups(0) != frozen.groups(7)
    assert sorted(map(sorted, redrawn.groups(0))) != sorted(map(sorted, redrawn.groups(7)))


@pytest.mark.parametrize("seed", range(3))
def test_scrambling_who_is_who_inside_frozen_bags_changes_no_batch(seed: int) -> None:
    plan = identity_bags(seed=seed)
    scrambled = IDENTITY.copy()
    rng = np.random.default_rng(seed)
    for group in plan.groups(0):
        rows = np.flatnonzero(np.isin(IDENTITY, group))
        scrambled[rows] = rng.permutation(IDENTITY[rows])
    assert not np.array_equal(scrambled, IDENTITY)
    other = identity_bags(scrambled, seed=seed)
    for epoch in range(3):
        for number in range(plan.length()):
            assert equal(plan.batch(epoch, number), other.batch(epoch, number))


def test_too_few_images_are_taken_again_and_otherwise_none_twice() -> None:
    plan = IdentityBags(np.array([0, 0, 0, 0, 0, 1, 1, 2, 3]), 2, 1, 4, redraw=True, seed=0)
    for epoch in range(5):
        for number in range(plan.length()):
            batch = plan.batch(epoch, number)
            for bag, (person,) in enumerate(batch.classes):
                rows = batch.rows[batch.bag == bag]
                assert len(rows) == 4
                if person == 0:
                    assert len(set(rows)) == 4


def test_windows_have_radius_0_1_2_in_turn_and_are_clamped() -> None:
    plan = WindowBags(IDENTITY, 12, 15, draw="identity", seed=1)
    assert plan.length() == len(IDENTITY) // 180
    widths = set()
    for epoch in range(30):
        batch = plan.batch(epoch, 0)
        for place, people in enumerate(batch.classes):
            radius = place % 3
            assert len(people) <= 2 * radius + 1
            assert people == list(range(people[0], people[-1] + 1))
            if len(people) < 2 * radius + 1:
                assert people[0] == 0 or people[-1] == 36
            widths.add((radius, len(people)))
            shown = IDENTITY[batch.rows[batch.bag == place]]
            assert set(shown) == set(people)
            if len(people) == 2 * radius + 1:
                assert np.bincount(shown)[people].tolist() == [15 // len(people)] * len(people)
    assert {(0, 1), (1, 3), (2, 5)} < widths


def test_windows_may_draw_from_the_bag_without_telling_how_many_of_each() -> None:
    plan = WindowBags(IDENTITY, 12, 15, draw="bag", seed=1)
    batch = plan.batch(0, 0)
    for place, people in enumerate(batch.classes):
        assert set(IDENTITY[batch.rows[batch.bag == place]]) <= set(people)


def test_published_bags_draw_from_their_folders(tmp_path: Path) -> None:
    plan = published(tmp_path)
    found = open_training_set(tmp_path / "set")
    assert plan.identities.tolist() == list(range(1, 10))
    folders = found.listed.table["folder"].to_numpy()
    for number in range(plan.length()):
        batch = plan.batch(0, number)
        assert batch.rows.shape == (24,)
        for place, classes in enumerate(batch.classes):
            assert set(folders[batch.rows[batch.bag == place]]) <= {label + 1 for label in classes}


def test_every_batch_can_be_made_again_in_any_order(tmp_path: Path) -> None:
    found = open_training_set(write_training_set(tmp_path / "set", 9))
    makers: list[Callable[[], Plan]] = [
        identity_bags,
        lambda: identity_bags(redraw=True),
        lambda: WindowBags(IDENTITY, 6, 10, draw="bag", seed=3),
        lambda: PublishedBags(found.bags, found.listed, 4, 6, seed=0),
    ]
    for make in makers:
        plan = make()
        first = {(epoch, number): plan.batch(epoch, number) for epoch in range(2) for number in range(plan.length())}
        again = make()
        for where in reversed(first):
            assert equal(first[where], again.batch(*where))
        assert not equal(first[0, 0], first[1, 0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: IdentityBags(IDENTITY, 9, 2, 4, redraw=True, seed=0), "do not fill"),
        (lambda: IdentityBags(IDENTITY, 64, 2, 4, redraw=True, seed=0), "37 identities"),
        (lambda: WindowBags(IDENTITY, 12, 2, draw="identity", seed=0), "cannot show 5 identities"),
        (lambda: WindowBags(IDENTITY, 40, 15, draw="identity", seed=0), "a batch takes 40 bags"),
    ],
)
def test_what_cannot_work_is_refused(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]


def test_published_bags_that_cannot_work(tmp_path: Path) -> None:
    found = open_training_set(write_training_set(tmp_path / "set", 9))
    with pytest.raises(UsageError, match="cannot show 5"):
        PublishedBags(found.bags, found.listed, 4, 3, seed=0)
    with pytest.raises(UsageError, match="27 bags have images"):
        PublishedBags(found.bags, found.listed, 28, 6, seed=0)


def test_agreement_does_not_ask_for_names() -> None:
    truth = np.array([4, 4, 7, 7, 1, 1, 2, 2])
    bag = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert matched_share(truth, truth, bag) == 1
    assert matched_share(np.array([7, 7, 4, 4, 2, 2, 1, 1]), truth, bag) == 1
    assert matched_share(np.array([7, 7, 7, 7, 1, 1, 2, 1]), truth, bag) == pytest.approx((2 + 3) / 8)
