"""The schedule of training in phases."""

from __future__ import annotations

import pytest

from octosr.techniques.phases import Schedule


def schedule(phase: str = "all") -> Schedule:
    return Schedule(phase, steps={"one": 4, "two": 3, "three": 2}, rates={"one": 1e-2, "two": 1e-3, "three": 1e-4})


def test_all_phases_are_wanted_in_order_or_one_of_them() -> None:
    assert schedule().wanted == schedule("two").order == ("one", "two", "three")
    assert schedule("two").wanted == ("two",)


def test_steps_go_up_to_the_end_of_the_last_wanted_phase() -> None:
    assert [schedule(phase).steps_up_to_end for phase in ("one", "two", "three", "all")] == [4, 7, 9, 9]


def test_next_is_the_first_wanted_phase_that_is_not_finished() -> None:
    done = {"one": 4, "two": 2, "three": 2}
    assert schedule().next(done.__getitem__) == "two"
    assert schedule("one").next(done.__getitem__) is None
    assert schedule("three").next({**done, "three": 1}.__getitem__) == "three"
    assert schedule().next({**done, "two": 5}.__getitem__) is None  # longer than asked for is finished too


def test_rate_falls_along_a_cosine_to_a_hundredth_and_stays() -> None:
    rates = [schedule().rate("one", done) for done in (0, 1, 2, 4, 9)]
    cosine = 0.5 * (1 + 0.5**0.5)
    assert rates == pytest.approx([1e-2, 1e-2 * (0.01 + 0.99 * cosine), 1e-2 * 0.505, 1e-4, 1e-4])


def test_phase_of_no_steps_has_a_rate_and_is_finished() -> None:
    empty = Schedule("all", steps={"one": 0}, rates={"one": 1e-3})
    assert empty.rate("one", 0) == 1e-3
    assert empty.next(lambda name: 0) is None
