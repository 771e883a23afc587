"""Which of several copies is taken, and which one a user means."""

from __future__ import annotations

import pytest

from sysu30k_bench.models.matching.roles import chosen_by, is_known_pair, rank_of


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("state_dict_ema.", "state_dict."),
        ("model_ema.", "model."),
        ("teacher.backbone.", "student.backbone."),
        ("encoder_q.", "encoder_k."),
        ("online_net.", "target_net."),
        ("backbone.", "momentum_backbone."),
        ("base_encoder.", "momentum_encoder."),
    ],
)
def test_the_copy_that_a_project_reports_comes_first(first: str, then: str) -> None:
    assert rank_of(first) < rank_of(then)
    assert is_known_pair(first, then)
    assert is_known_pair(then, first)


@pytest.mark.parametrize(
    ("one", "other"),
    [("net_a.", "net_b."), ("visual.", "textual."), ("model.0.", "model.1."), ("branch_1.", "branch_2.")],
)
def test_two_copies_whose_names_say_nothing_are_no_pair(one: str, other: str) -> None:
    assert not is_known_pair(one, other)
    assert rank_of(one) == rank_of(other)


def test_a_word_inside_another_is_no_role() -> None:
    assert rank_of("temas.") == rank_of("keyboard.") == rank_of("") == rank_of("model.")
    assert not is_known_pair("systemas.", "sys.")


COPIES = ["state_dict.", "state_dict_ema.", "teacher.backbone.", "student.backbone."]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ema", ["state_dict_ema."]),
        ("EMA", ["state_dict_ema."]),
        ("raw", ["state_dict.", "teacher.backbone.", "student.backbone."]),
        ("teacher", ["teacher.backbone."]),
        ("student.backbone", ["student.backbone."]),
        ("student.backbone.", ["student.backbone."]),
        ("state_dict", ["state_dict."]),
        ("backbone", ["teacher.backbone.", "student.backbone."]),
        ("momentum", []),
    ],
)
def test_what_a_user_means_by_a_word(word: str, meant: list[str]) -> None:
    assert chosen_by(word, COPIES) == meant
