from __future__ import annotations

from types import SimpleNamespace

from sysu30k_bench.search.exact.break_even import FINEST_ROWS, LONGEST_PAUSE, Pace


class Counting:
    """An engine that counts how often it was told to give up its filter."""

    def __init__(self) -> None:
        self.falls = 0

    def fall_back(self) -> None:
        self.falls += 1


def drive(pace: Pace, refined: bool) -> str:
    """One block of 4,096 rows; `f` where it went without the coarse filter, `r` where that left too much open."""
    finest = pace.finest
    pace.note(SimpleNamespace(refined=finest or refined), 4096)  # type: ignore[arg-type]
    return "f" if finest else "r" if refined else "."


def test_the_first_rows_go_without_the_filter() -> None:
    pace = Pace(Counting())  # type: ignore[arg-type]
    assert "".join(drive(pace, refined=False) for _ in range(6)) == "f" * (FINEST_ROWS // 4096) + "..."


def test_pauses_grow_until_the_filter_is_given_up() -> None:
    engine = Counting()
    pace = Pace(engine)  # type: ignore[arg-type]
    went = "".join(drive(pace, refined=True) for _ in range(3 + 12))
    assert went == "fff" + "rf" + "rff" + "r" + "rf" + "rff" + "r"
    assert (engine.falls, LONGEST_PAUSE) == (2, 2)


def test_a_filter_that_recovers_is_kept() -> None:
    engine = Counting()
    pace = Pace(engine)  # type: ignore[arg-type]
    went = "".join(drive(pace, refined=number < 5) for number in range(30))
    assert went.endswith("." * 20)
    assert engine.falls == 0
