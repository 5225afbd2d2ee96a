"""Walk a list that is sorted by the time of change, while it changes.

By page numbers alone an order is missed: when one that was read changes again it leaves the span asked for, all behind
it move up by one, and the first of the next page is on the last page by then. So each page is asked for from the
last time of the page before it, and numbers count only inside of one instant.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from data.channels import documents
from data.channels.api import ChannelUnavailable
from data.channels.channel import Unfit, Unreadable


class Listed(NamedTuple):
    """One answer. `more`: the channel has more orders since the time that was asked for."""

    found: list[Any]
    more: bool


class Stretch(NamedTuple):
    """Some orders as they came. `until`: all that changed before it are in this stretch or an earlier one."""

    found: list[Any]
    until: datetime


def walk(
    ask: Callable[[datetime, int], Listed], changed_at: Callable[[Any], datetime], since: datetime, until: datetime
) -> Iterator[Stretch]:
    """`ask(since, page)` gives one page of the orders changed since then, oldest change first; the first page is 0."""
    page = 0
    while True:
        found, more = ask(since, page)
        if not more or not found:
            yield Stretch(found, until)
            return
        try:
            last = changed_at(found[-1])
        except Unfit as error:
            raise ChannelUnavailable(f"the channel lists an order that cannot be placed in time: {error}") from error
        since, page = (last, 0) if last > since else (since, page + 1)
        yield Stretch(found, since)


def document(body: bytes) -> Any:
    """An answer's JSON, floats as floats. Raises ChannelUnavailable."""
    try:
        return documents.parse(body)
    except Unreadable as error:
        raise ChannelUnavailable("the channel answers something that is no JSON") from error


def listed(answer: Any, name: str) -> list[Any]:
    """The list of that name in an answer. Raises ChannelUnavailable where there is none: it must not pass for empty."""
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ChannelUnavailable(f"the channel's answer has no list {name!r}: is the address in channels.yaml its API?")
    return found


def is_more(answer: Any, count_name: str, *, read: int) -> bool:
    """Are there more than the `read` orders so far, by the answer's own count? Raises ChannelUnavailable."""
    count = answer.get(count_name)
    if not isinstance(count, int) or isinstance(count, bool):
        raise ChannelUnavailable(f"the channel's answer has no {count_name!r}: nobody can tell where its list ends")
    return read < count
