"""The benchmark of events runs in the small: it checks what it measures, and no time is judged."""

from datetime import UTC, datetime

import orjson
import pytest

from benchmarks import events, events_apply, events_kpis, events_traffic
from domain.delivery import DeliveryEvent
from providers.sendgrid import events as sendgrid


def test_a_campaign_brings_three_events_a_message_some_of_them_twice() -> None:
    people = range(1, 2001)
    bodies = list(events_traffic.bodies("r1", people, datetime.now(UTC)))
    found = [one for body in bodies for one in sendgrid.parse(body)]
    assert all(isinstance(one, DeliveryEvent) for one in found)
    assert len(found) == pytest.approx(events_traffic.A_MESSAGE * len(people), rel=0.05)
    keys = {one.dedupe_key("p") for one in found}
    assert len(keys) < len(found)
    assert len({element["sg_event_id"] for body in bodies for element in orjson.loads(body)}) == len(found)


def test_what_is_applied_is_all_that_was_posted() -> None:
    rows, _, report = events_apply.run("sqlite", 1500)
    assert (report.failed, report.unreadable, report.uncorrelated) == (0, 0, 0)
    assert report.suppressions > 0
    assert [row.events > 0 for row in rows] == [True, True]


def test_figures_kept_up_to_date_equal_those_reckoned_anew() -> None:
    events_kpis.run(1500)


def test_the_table_is_printed(capsys) -> None:
    events.main(["--part", "receive", "--recipients", "60000"])
    assert "to the bare socket" in capsys.readouterr().out
