"""Runs every segment of the library: a new file in segments/ needs no test of its own."""

import subprocess
import sys
from datetime import UTC, datetime

import pandas as pd
import pytest

from domain.features import BY_NAME
from segments import registry
from segments.definition import Segment

AS_OF = datetime(2026, 6, 15, 12, tzinfo=UTC)
every_segment = pytest.mark.parametrize("segment", registry.load().values(), ids=registry.load())


@every_segment
def test_its_examples_are_in_and_out(segment: Segment) -> None:
    assert segment.inside, "an example of who is inside is missing"
    assert segment.outside, "an example of who is outside is missing"
    answer = segment.evaluate(segment.frame([*segment.inside, *segment.outside]), AS_OF).tolist()
    count = len(segment.inside)
    wrong = [row for row, is_in in zip(segment.inside, answer[:count], strict=True) if not is_in]
    assert not wrong, f"{segment.file}:{segment.line}: these should be inside: {wrong}"
    wrong = [row for row, is_in in zip(segment.outside, answer[count:], strict=True) if is_in]
    assert not wrong, f"{segment.file}:{segment.line}: these should be outside: {wrong}"


@every_segment
def test_it_can_judge_nobody(segment: Segment) -> None:
    assert segment.evaluate(segment.frame([]), AS_OF).empty


@every_segment
def test_it_leaves_the_frame_as_it_was(segment: Segment) -> None:
    frame = segment.frame([*segment.inside, *segment.outside])
    before = frame.copy(deep=True)
    first = segment.evaluate(frame, AS_OF)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_series_equal(segment.evaluate(frame, AS_OF), first)


def test_the_library_has_a_segment_for_everybody_and_ten_more() -> None:
    library = registry.load()
    assert "all-customers" in library
    assert len(library) > 10
    assert {name for segment in library.values() for name in segment.needs} <= set(BY_NAME)


def test_the_room_knows_nothing_of_the_database() -> None:
    """Whoever writes a segment needs pandas and the contract, no more."""
    code = "import sys; from segments import registry; registry.load(); print('data' in sys.modules, 'sqlalchemy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
