"""A plan in words."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import pace_plan
from domain.pace_plan import PacePlan, Question
from domain.routes import Pace, Route
from domain.suppression import Stream
from tasks import pace_words

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def plan(**people: int) -> PacePlan:
    route = Route("main", "shop", Stream.MARKETING, "esp", "main", "n.example.com", release={"*": Pace(per_minute=100)})
    return pace_plan.make(Question(people, [route], NOW, 1000, timedelta(hours=1), answers={"esp": 1.0}))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a second"),
        (1.4, "a second"),
        (40, "40 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7100, "118 minutes"),
        (7199, "2 h 0 min"),
        (8100, "2 h 15 min"),
        (172_800, "2 days 0 h"),
        (273_600, "3 days 4 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert pace_words.duration(timedelta(seconds=seconds)) == words


def test_the_line_for_who_approves_has_length_largest_group_and_first_warning() -> None:
    line = pace_words.line(plan(gmail=13_000, yahoo=500))
    assert line.startswith(
        "takes about 2 h 0 min; largest group Gmail, 13,000 people, limited by the release pace of main for all groups;"
        " **warning**: Gmail would get 13,000 mails in a day, and nothing in the last four weeks."
    )
    assert line.endswith("(and 1 more)")
    assert "\n" not in line
    assert pace_words.line(plan(yahoo=500)).count(";") == 1
    assert pace_words.line(plan()) == "takes about a second"


def test_the_section_tells_hand_over_and_release_apart() -> None:
    text = pace_words.markdown(plan(gmail=13_000, yahoo=500))
    assert text.startswith("## How it goes out\n\n> **Gmail would get 13,000 mails")
    assert "**handed over** to the ESP until 2026-11-22 11:00 UTC" in text
    assert "**released** to the mailbox providers until 2026-11-22 11:00 UTC, in 2 h 0 min" in text
    assert "| Gmail | 13,000 | 108 | 2026-11-22 11:00 | release pace of main for all groups | 0 |" in text
    assert "| Yahoo and AOL | 500 |" in text
    assert "- Quiet hours and brakes come on top." in text
    assert "|:--|" not in pace_words.markdown(plan())
