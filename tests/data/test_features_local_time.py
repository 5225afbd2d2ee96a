"""Clocks of zones against zoneinfo itself, an instant at a time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest

from data.features import local_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Half hours, changes at the end of a year or of a day, Ramadan, a day that was left out, summer time below zero.
ODD = ["Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Europe/Dublin", "Asia/Kathmandu", "America/Caracas"]


def plainly(instants: np.ndarray, zone: str) -> list[int]:
    info = ZoneInfo(zone)
    return [(EPOCH + int(us) * MICROSECOND).astimezone(info).utcoffset() // MICROSECOND for us in instants]


@pytest.mark.parametrize("zone", [*ODD, *sorted(available_timezones())[::23]])
def test_offsets_are_those_of_zoneinfo(zone: str) -> None:
    years = (
        np.array([datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in range(1994, 2031)]).astype("int64") * 10**6
    )
    rng = np.random.default_rng(5)
    at = np.concatenate([years, years - 1, rng.integers(years[0], years[-1], 3000)])
    rng.shuffle(at)
    assert local_time.offsets(at, zone).tolist() == plainly(at, zone)


@pytest.mark.parametrize("zone", ODD)
def test_clocks_change_at_the_very_instant(zone: str) -> None:
    changes = [at for year in range(1995, 2030) for at, _ in local_time._changes(zone, year)]
    edges = np.array([at + step for at in changes for step in (-1, 0, 1)])
    assert local_time.offsets(edges, zone).tolist() == plainly(edges, zone)


def test_the_ends_of_the_calendar_and_nothing_at_all() -> None:
    ends = np.array([(datetime(year, 6, 1, tzinfo=UTC) - EPOCH) // MICROSECOND for year in (1, 9998)])
    assert local_time.offsets(ends, "Asia/Tokyo").tolist() == plainly(ends, "Asia/Tokyo")
    assert local_time.offsets(np.empty(0, np.int64), "Asia/Tokyo").tolist() == []
