"""Opens and clicks with a known author, as they were seen by others; and what is kept of a client."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import EventKind
from domain.machine_activity import CURRENT, VERSIONS, Act, UnknownRules, by_people, page, shortened

DELIVERED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
FALSE_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK_IOS = f"{IPHONE} Outlook-iOS/4.2445.0"


def act(kind: EventKind, agent: str | None = CHROME, after: float = 600, **facts) -> Act:
    return Act(kind, DELIVERED + timedelta(seconds=after), agent=shortened(agent), **facts)


def opened(agent: str | None = CHROME, after: float = 600, **facts) -> Act:
    return act(EventKind.OPENED, agent, after, **facts)


def clicked(agent: str | None = CHROME, after: float = 600, link: str = "https://a.example/1", **facts) -> Act:
    return act(EventKind.CLICKED, agent, after, link=link, **facts)


def sweep(*after: float) -> list[Act]:
    return [clicked(after=one, link=f"https://a.example/{n}") for n, one in enumerate(after)]


PEOPLE = {
    "a browser": [opened()],
    "Gmail's image proxy hides a person": [opened(GMAIL)],
    "Yahoo's image proxy hides a person": [opened("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy.html")],
    "Outlook on a telephone": [opened(OUTLOOK_IOS)],
    "Apple Mail that shows itself": [opened(IPHONE)],
    "a mail program of which nothing is known": [opened(None)],
    "a machine first, a person later": [opened("Mozilla/5.0", 1, machine=True), opened(IPHONE, 7200)],
    "quick, but a person can": [opened(after=5)],
}
MACHINES = {
    "flagged by the ESP": [opened(machine=True)],
    "Apple's privacy proxy, not flagged": [opened("Mozilla/5.0")],
    "Barracuda": [opened("Barracuda Sentinel (EE)")],
    "Mimecast": [opened("Mozilla/5.0 (compatible; Mimecast Security)")],
    "Proofpoint": [opened("Proofpoint URL Defense/1.0")],
    "BingPreview": [
        opened("Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b")
    ],
    "an Edge that is none": [opened(FALSE_EDGE)],
    "a library": [opened("python-requests/2.26.0")],
    "before the mail was there": [opened(after=-30)],
    "in the second of the delivery": [opened(after=0)],
}
CLICKS_BY_PEOPLE = {
    "one link": [clicked()],
    "two links one after the other": sweep(600, 602),
    "three links at leisure": sweep(600, 640, 700),
    "one link three times": [clicked(after=600 + n) for n in range(3)],
    "a scanner sweeps, a person follows": [*sweep(2, 3, 4), clicked(after=900)],
}
CLICKS_BY_MACHINES = {
    "all links within seconds": sweep(20, 21, 22),
    "before the mail was there": [clicked(after=-1)],
    "a scanner by its own word": [clicked("Mozilla/5.0 (compatible; MicrosoftPreview/2.0; SafeLinks)")],
    "only the way out": [clicked(link="unsubscribe")],
    "a headless browser": [clicked("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0")],
}


@pytest.mark.parametrize("acts", PEOPLE.values(), ids=PEOPLE)
def test_people_open(acts: list[Act]) -> None:
    assert by_people(acts, DELIVERED, CURRENT) == (True, False)
    assert by_people(acts[::-1], DELIVERED, CURRENT) == (True, False)


@pytest.mark.parametrize("acts", MACHINES.values(), ids=MACHINES)
def test_machines_open(acts: list[Act]) -> None:
    assert by_people(acts, DELIVERED, CURRENT) == (False, False)


@pytest.mark.parametrize("acts", CLICKS_BY_PEOPLE.values(), ids=CLICKS_BY_PEOPLE)
def test_people_click(acts: list[Act]) -> None:
    assert by_people(acts, DELIVERED, CURRENT) == (False, True)
    assert by_people(acts[::-1], DELIVERED, CURRENT) == (False, True)


@pytest.mark.parametrize("acts", CLICKS_BY_MACHINES.values(), ids=CLICKS_BY_MACHINES)
def test_machines_click(acts: list[Act]) -> None:
    assert by_people(acts, DELIVERED, CURRENT) == (False, False)


def test_the_first_rules_believe_the_esp_alone() -> None:
    swept = [*sweep(-1, 0, 1), opened("Barracuda Sentinel (EE)", -1)]
    assert by_people(swept, DELIVERED, 1) == (True, True)
    assert by_people([opened(machine=True)], DELIVERED, 1) == (False, False)
    assert CURRENT in VERSIONS
    with pytest.raises(UnknownRules):
        by_people([], None, 9)


def _swept_by_definition(clicks: list[Act]) -> bool:
    """Is there a click that is in no five seconds with three links?"""

    def lone(one: Act) -> bool:
        starts = [first for first in clicks if timedelta() <= one.at - first.at <= timedelta(seconds=5)]
        windows = [[each for each in clicks if timedelta() <= each.at - s.at <= timedelta(seconds=5)] for s in starts]
        return all(len({each.link for each in window if each.link}) < 3 for window in windows)

    return any(map(lone, clicks))


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([None, "a", "b", "c", "d"])), max_size=30))
def test_a_sweep_is_what_it_is_said_to_be(made: list[tuple[int, str | None]]) -> None:
    clicks = [act(EventKind.CLICKED, after=600 + half / 2, link=link) for half, link in made]
    assert by_people(clicks, DELIVERED, CURRENT)[1] == _swept_by_definition(clicks)


def test_a_sweep_of_thousands_of_clicks_looks_at_each_once() -> None:
    looked = 0

    class Counted(datetime):
        def __sub__(self, other: Any) -> Any:
            nonlocal looked
            looked += 1
            return super().__sub__(other)

    at = Counted(2026, 11, 22, 10, tzinfo=UTC)
    swept = [Act(EventKind.CLICKED, at, link=f"https://a.example/{n % 40}") for n in range(4_000)]
    assert by_people(swept, None, CURRENT) == (False, False)
    assert looked <= 2 * len(swept)


def test_without_a_delivery_no_time_is_too_early() -> None:
    assert by_people([opened(after=-30)], None, CURRENT) == (True, False)


@pytest.mark.parametrize(
    ("client", "kept"),
    [
        (None, None),
        ("198.51.100.9", None),
        ("2001:db8::7", None),
        ("Mozilla/5.0", "Mozilla/5"),
        (f"{FALSE_EDGE}|198.51.100.9", shortened(FALSE_EDGE)),
        ("Odd|Agent/1.2.3|198.51.100.9", "Odd|Agent/1"),
        ("x" * 500, "x" * 120),
    ],
)
def test_of_a_client_only_its_names_are_kept(client: str | None, kept: str | None) -> None:
    assert shortened(client) == kept


def test_of_a_link_only_its_page_is_kept() -> None:
    assert page("https://a.example/p?email=x#y") == "https://a.example/p"
    assert page("https://shop.example/unsubscribe/TOKEN") == "unsubscribe"
    assert page(None) is None
