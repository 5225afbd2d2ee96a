"""The members of a selection by one property at a time, beside all customers: whole columns at once, each read once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from data import arrow, tables
from data.features.population import Customers
from domain import previews
from domain.previews import Part, Split

Mask = npt.NDArray[np.bool_]
_Counts = dict[str | None, tuple[int, int]]
COUNTRY, CHANNEL, ENGAGEMENT = "Country", "Channel", "Last opened or clicked"
NEEDS = ("country", "channels", "days_since_engaged", "mails_90d")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows of the customers' frame are members; `gone`: members who are no customers any more."""

    inside: Mask
    gone: int = 0


def splits(engine: sa.Engine, account_id: str, customers: Customers, chosen: Chosen) -> tuple[Split, ...]:
    """By country, channel, mailbox provider and engagement."""
    frame = customers.frame(NEEDS)
    return (
        Split(COUNTRY, _parts(_counted(frame["country"], chosen.inside), chosen)),
        Split(CHANNEL, _parts(_channels(frame["channels"], chosen.inside), chosen), several=True),
        Split(previews.MAILBOX, _parts(_mailboxes(engine, account_id, frame["party_id"], chosen.inside), chosen)),
        Split(ENGAGEMENT, _engagement(frame, chosen)),
    )


def _parts(counts: _Counts, chosen: Chosen) -> tuple[Part, ...]:
    members, customers = counts.get(None, (0, 0))
    return previews.largest({**counts, None: (members + chosen.gone, customers)})


def _counted(values: "pd.Series[str]", inside: Mask) -> _Counts:
    codes, labels = pd.factorize(values, use_na_sentinel=True)
    places = codes + 1  # unknown is -1
    whole = np.bincount(places, minlength=len(labels) + 1)
    within = np.bincount(places[inside], minlength=len(labels) + 1)
    names: list[str | None] = [None, *map(str, labels)]
    return {name: (int(within[place]), int(whole[place])) for place, name in enumerate(names)}


def _channels(values: "pd.Series[str]", inside: Mask) -> _Counts:
    """Customers have few distinct sets of channels, however many they are: only those are taken apart."""
    counts: dict[str | None, list[int]] = {}
    for names, (members, customers) in _counted(values, inside).items():
        for name in names.split(",") if names else [None]:
            count = counts.setdefault(name.strip() if name else None, [0, 0])
            count[0] += members
            count[1] += customers
    return {name: (count[0], count[1]) for name, count in counts.items()}


def _mailboxes(engine: sa.Engine, account_id: str, party_ids: "pd.Series[int]", inside: Mask) -> _Counts:
    """Of the parties alone: the live features of everybody would cost a look-up of each consent."""
    party = tables.parties.c
    query = sa.select(party.id, party.mailbox_provider).where(party.account_id == account_id).order_by(party.id)
    found = arrow.read_table(engine, query).to_pandas()
    ids = found["id"].to_numpy("int64")
    if not len(ids):
        return {}
    place = np.searchsorted(ids, party_ids.to_numpy("int64")).clip(max=len(ids) - 1)
    return _counted(found["mailbox_provider"].iloc[place], inside)


def _engagement(frame: pd.DataFrame, chosen: Chosen) -> tuple[Part, ...]:
    days = frame["days_since_engaged"].to_numpy("float64")
    bounds = [bound for bound, _ in previews.ENGAGED]
    labels = [label for _, label in previews.ENGAGED] + [previews.ENGAGED_LONG_AGO]
    place = np.searchsorted(bounds, np.nan_to_num(days), side="right")  # 30 whole days ago is not in the last 30
    mailed = frame["mails_90d"].to_numpy("int64") > 0
    place = np.where(np.isnan(days), np.where(mailed, len(labels), len(labels) + 1), place)
    labels += [previews.NEVER_ENGAGED, previews.NOT_MAILED]
    return ordered(labels, [place == number for number in range(len(labels))], chosen)


def ordered(labels: Iterable[str], those: Iterable[Mask], chosen: Chosen) -> tuple[Part, ...]:
    """Parts that keep the order they are given in; empty ones stay, for a gap tells something."""
    parts = [
        Part(label, int((one & chosen.inside).sum()), int(one.sum())) for label, one in zip(labels, those, strict=True)
    ]
    return (*parts, Part(previews.UNKNOWN, chosen.gone, 0)) if chosen.gone else tuple(parts)
