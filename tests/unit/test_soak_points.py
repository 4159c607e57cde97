from __future__ import annotations

import random

import pytest

from tests.soak.points import Course, Moment, Step, choose_moment, divide, order

COURSE = Course.of(10.0, [("reading", 1.0), ("writing", 6.0), ("publishing", 9.5)])


def test_a_course_has_the_steps_that_were_told_one_after_the_other() -> None:
    assert COURSE.steps == (Step("reading", 1.0, 5.0), Step("writing", 6.0, 3.5), Step("publishing", 9.5, 0.5))
    assert [COURSE.step_at(at) for at in (0.5, 1.0, 9.0, 99.0)] == [None, "reading", "writing", "publishing"]


def test_half_of_the_moments_are_in_the_steps_at_the_end_however_short_they_are() -> None:
    chance = random.Random(1)
    moments = [choose_moment(COURSE, chance, tail="writing") for _ in range(1000)]
    anywhere = [each.delay_s for each in moments if each.step is None]
    assert 400 < len(anywhere) < 600
    assert (min(anywhere) < 0.5, max(anywhere) > 9.5) == (True, True)
    publishing = [each.delay_s for each in moments if each.step == "publishing"]
    assert 200 < len(publishing) < 300
    assert all(0 <= each <= 0.5 for each in publishing)
    assert {each.step for each in moments} == {None, "writing", "publishing"}


def test_a_command_that_tells_no_steps_is_killed_more_where_it_is_not_idle() -> None:
    chance = random.Random(1)
    moments = [choose_moment(Course.of(10.0, []), chance, idle_s=8.0) for _ in range(1000)]
    assert 500 < sum(each.delay_s >= 8.0 for each in moments) < 700
    assert choose_moment(Course.of(1.0, []), chance, idle_s=8.0).step is None
    assert Moment(1.0).step is None


@pytest.mark.parametrize(
    ("points", "counts"),
    [
        (200, {"build": 12, "import": 54, "commit": 74, "gc": 60}),
        (4, {"build": 1, "import": 1, "commit": 1, "gc": 1}),
        (7, {"build": 1, "import": 2, "commit": 2, "gc": 2}),
        (1, {"build": 0, "import": 0, "commit": 1, "gc": 0}),
    ],
)
def test_points_are_divided_by_shares(points: int, counts: dict[str, int]) -> None:
    found = divide(points, {"build": 6, "import": 27, "commit": 37, "gc": 30})
    assert found == counts
    assert sum(found.values()) == points


def test_what_comes_late_is_in_the_second_half_alone() -> None:
    found = order({"build": 4, "gc": 20}, random.Random(1), late="build")
    assert sorted(found) == ["build"] * 4 + ["gc"] * 20
    assert found[:10] == ["gc"] * 10
