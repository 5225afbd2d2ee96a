"""Real processes, killed at every point on both databases; and the proof that this would see a loss or a duplicate.

A small matrix: `make kill-matrix` is the large one.
"""

import random

import pytest

from tests.kills import matrix, naive, rounds
from tests.kills.points import BY_CODE, POINTS, Point
from tests.kills.processes import Installation

pytestmark = pytest.mark.slow


def test_a_kill_at_any_point_loses_nothing_and_sends_nothing_twice(installation: Installation) -> None:
    for point in POINTS:
        found = matrix.at(installation, point, 1, random.Random(point.code))
        assert found.kills >= 1, point
        assert found.verdict.sound, (point, found)


def test_a_sender_that_retries_until_2xx_is_caught(installation: Installation) -> None:
    played = rounds.play(installation, BY_CODE["C8"], (1, 2), strategy=naive.retry_until_2xx)
    assert played.kills
    assert played.verdict.duplicates > 0
    assert played.verdict.lost == 0


def test_a_sender_that_checkpoints_before_it_sends_is_caught(installation: Installation) -> None:
    played = rounds.play(installation, BY_CODE["C3"], (1, 1), strategy=naive.checkpoint_before_send)
    assert played.kills
    assert played.verdict.lost > 0
    assert played.verdict.duplicates == 0


def test_a_round_whose_point_was_not_reached_does_not_count(installation: Installation) -> None:
    cell = matrix.Cell()
    cell.add(rounds.play(installation, BY_CODE["C2"], (99,)))
    assert (cell.kills, cell.not_reached, cell.verdict.planned) == (0, 1, 0)
    nowhere = Point("C0", "a function that nobody calls", BY_CODE["C2"].victim, lambda *_: None)
    with pytest.raises(matrix.NeverReached, match="C0"):
        matrix.at(installation, nowhere, 1, random.Random(1), tries=2)
