"""Runs every segment of the library: a new file in segments/ needs no test of its own."""

import subprocess
import sys

import pandas as pd
import pytest

from data.samples import example_shop
from domain.features import BY_NAME
from segments import examples, registry
from segments.definition import FrameSegment, Segment

LIBRARY = registry.load()
every_segment = pytest.mark.parametrize("segment", LIBRARY.values(), ids=LIBRARY)
of_a_frame = {name: one for name, one in LIBRARY.items() if isinstance(one, FrameSegment)}
every_frame_segment = pytest.mark.parametrize("segment", of_a_frame.values(), ids=of_a_frame)


def test_no_file_of_the_room_is_broken() -> None:
    faults = registry.faults()
    assert not faults, "\n".join(fault.sentence for fault in faults)


@every_segment
def test_its_examples_are_in_and_out(segment: Segment) -> None:
    judged = examples.judged(segment, example_shop.opened)
    assert not judged.complaints, "\n".join(judged.complaints)
    sides = {verdict.should_be_in for verdict in judged.verdicts}
    assert sides == (set() if segment.kind == "combined" else {True, False})


@every_frame_segment
def test_it_can_judge_nobody(segment: FrameSegment) -> None:
    assert segment.evaluate(segment.frame([]), examples.AS_OF).empty


@every_frame_segment
def test_it_leaves_the_frame_as_it_was(segment: FrameSegment) -> None:
    frame = segment.frame([*segment.inside, *segment.outside])
    before = frame.copy(deep=True)
    first = segment.evaluate(frame, examples.AS_OF)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_series_equal(segment.evaluate(frame, examples.AS_OF), first)


def test_every_segment_answers_for_a_shop_where_nobody_ever_ordered() -> None:
    with example_shop.opened([[]], examples.AS_OF) as nobody:
        for segment in LIBRARY.values():
            assert segment.members(nobody).empty, segment.name


def test_the_library_has_a_segment_for_everybody_and_more_than_twenty_five() -> None:
    assert "all-customers" in LIBRARY
    assert len(LIBRARY) > 25
    assert {name for segment in LIBRARY.values() for name in segment.needs} <= set(BY_NAME)
    hashes = {segment.definition_hash for segment in LIBRARY.values()}
    assert len(hashes) == len(LIBRARY)


def test_the_room_knows_nothing_of_the_data_room() -> None:
    """Whoever writes a segment needs pandas, SQLAlchemy and the contract, no more."""
    code = "import sys; from segments import registry; registry.load(); print('data' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False"]
