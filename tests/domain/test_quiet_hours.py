"""Quiet hours go by what the customer's clock shows, on every day of the year and in every zone."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import policy, quiet_hours
from domain.accounts import Account, InvalidAccount
from domain.policy import SendingPolicy
from domain.quiet_hours import InvalidQuietHours, QuietHours

NIGHT = QuietHours(time(21), time(8))
MINUTE = timedelta(minutes=1)
# East and west of the date line, half and quarter hours, half an hour of summer time, none, and two jumps at Ramadan.
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati"),
    *("Pacific/Pago_Pago", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Antarctica/Troll"),
)
zones = st.sampled_from(ZONES)
clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
hours = st.tuples(clock_times, clock_times).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair))
# A day and more around the days on which the clocks are set, and any other.
jumps = ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2026-02-15", "2026-03-22")
around = st.builds(
    lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + minutes * MINUTE,
    st.sampled_from(jumps),
    st.integers(-1440, 2880),
)
years = st.integers(0, 10 * 365 * 86400).map(
    lambda second: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
instants = around | years


def _shows_quiet(hours: QuietHours, at: datetime, zone: str) -> bool:
    """The definition, minute of the day by minute of the day."""
    shown = at.astimezone(ZoneInfo(zone))
    minute = shown.hour * 60 + shown.minute
    start, end = (one.hour * 60 + one.minute for one in (hours.start, hours.end))
    return (minute - start) % 1440 < (end - start) % 1440


@given(hours=hours, at=instants, zone=zones)
@example(QuietHours(time(2, 15), time(4)), datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Europe/Berlin")
@example(QuietHours(time(21), time(2, 30)), datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/Berlin")
@example(QuietHours(time(21), time(2, 30)), datetime(2026, 10, 25, 0, 15, tzinfo=UTC), "Europe/Berlin")
@example(QuietHours(time(3), time(2, 30)), datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/Berlin")
@example(QuietHours(time(0), time(23, 59)), datetime(2011, 12, 29, 12, tzinfo=UTC), "Pacific/Apia")
def test_they_hold_until_the_first_minute_that_is_not_quiet(hours: QuietHours, at: datetime, zone: str) -> None:
    until = hours.until(at, zone)
    assert hours.holds(at, zone) is _shows_quiet(hours, at, zone)
    assert (until is not None) is hours.holds(at, zone)
    if until is None:
        return
    assert until > at
    assert until.second == until.microsecond == 0
    assert not _shows_quiet(hours, until, zone)
    minute = at
    while minute < until:  # and no minute before it
        assert _shows_quiet(hours, minute, zone)
        minute += MINUTE


@pytest.mark.parametrize(
    ("at", "zone", "until"),
    [
        ("2026-11-22T20:30+00:00", "Europe/Berlin", "2026-11-23T07:00+00:00"),  # 21:30 there
        ("2026-11-22T19:30+00:00", "Europe/Berlin", None),
        ("2026-11-22T20:00+00:00", "Europe/Berlin", "2026-11-23T07:00+00:00"),  # on the stroke of the beginning
        ("2026-11-22T07:00+00:00", "Europe/Berlin", None),  # and of the end
        ("2026-11-22T09:00+00:00", "America/New_York", "2026-11-22T13:00+00:00"),  # 04:00 there
        ("2026-11-22T09:00+00:00", "Pacific/Kiritimati", "2026-11-22T18:00+00:00"),  # 23:00 there
        ("2026-03-28T23:00+00:00", "Europe/Berlin", "2026-03-29T06:00+00:00"),  # a night of ten hours
        ("2026-10-24T20:00+00:00", "Europe/Berlin", "2026-10-25T07:00+00:00"),  # a night of twelve
    ],
)
def test_a_night_in_each_part_of_the_world(at: str, zone: str, until: str | None) -> None:
    assert NIGHT.until(datetime.fromisoformat(at), zone) == (until and datetime.fromisoformat(until))


def test_the_hours_of_a_midday_rest_do_not_cross_midnight() -> None:
    rest = QuietHours(time(13), time(15))
    held = {hour for hour in range(24) if rest.holds(datetime(2026, 1, 1, hour, tzinfo=UTC), "UTC")}
    assert held == {13, 14}


def test_two_times_of_the_day_or_none() -> None:
    assert quiet_hours.parse("", "") is None
    assert quiet_hours.parse("21:00", "08:30") == QuietHours(time(21), time(8, 30))


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("21:00", "", "both a beginning and an end"),
        ("", "08:00", "both a beginning and an end"),
        ("9:00", "17:00", "HH:MM"),
        ("24:00", "08:00", "HH:MM"),
        ("21:60", "08:00", "HH:MM"),
        ("21:00:00", "08:00", "HH:MM"),
        ("\u0662\u0661:\u0660\u0660", "08:00", "HH:MM"),
        ("21:00\n", "08:00", "HH:MM"),
        ("08:00", "08:00", "no time to send"),
    ],
)
def test_other_words_are_refused_in_settings_and_accounts(start: str, end: str, said: str) -> None:
    with pytest.raises(InvalidQuietHours, match=said):
        quiet_hours.parse(start, end)
    with pytest.raises(InvalidQuietHours, match=said):
        SendingPolicy(quiet_from=start, quiet_until=end)
    with pytest.raises(pydantic.ValidationError, match=said):  # as settings.py reads it
        pydantic.TypeAdapter(SendingPolicy).validate_python({"quiet_from": start, "quiet_until": end})
    with pytest.raises(InvalidAccount, match=f"account tea: .*{said}"):
        replace(ACCOUNT, quiet_from=start, quiet_until=end)


ACCOUNT = Account("tea", "The Tea Shop", "EUR", "Europe/Berlin", "1 Road", "news@tea.example.com", "Tea")


def test_an_account_has_what_it_does_not_say_from_the_installation() -> None:
    installation = SendingPolicy(cap_mails=4, cap_days=7, quiet_from="21:00", quiet_until="08:00")
    assert policy.of_account(installation, ACCOUNT) == installation
    own = policy.of_account(installation, replace(ACCOUNT, cap_days=30, quiet_from="22:00", quiet_until="06:00"))
    assert own == replace(installation, cap_days=30, quiet_from="22:00", quiet_until="06:00")
    without = policy.of_account(installation, replace(ACCOUNT, quiet_from="", quiet_until=""))
    assert without.quiet_hours is None
    assert SendingPolicy().quiet_hours is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cap_mails": 0}, "at least 1 mail"),
        ({"cap_days": -1}, "at least 1 mail"),
        ({"quiet_from": "21:00"}, "both a beginning and an end"),
        ({"quiet_until": ""}, "both a beginning and an end"),
    ],
)
def test_limits_that_cannot_be_right_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidAccount, match=said):
        replace(ACCOUNT, **wrong)  # type: ignore[arg-type]
