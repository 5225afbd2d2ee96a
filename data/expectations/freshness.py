"""Whether every channel that usually brings orders still does.

Its silence is held against its own rhythm, as the intake's health does it, but with more patience: features are
reckoned once a night.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from data.channels.connections import Connections
from data.expectations.subject import Rule
from data.intake import health
from data.intake.health import SourceHealth
from domain import rhythm


def rules(
    connection: sa.Connection, connections: Connections, *, account_id: str, now: datetime, patience: timedelta
) -> Sequence[tuple[Rule, int]]:
    """A rule for each channel of the account that was ever heard, and what the aggregate row holds of it.

    `patience`: so long any channel may be silent. Where too little is known of a channel's rhythm it passes.
    """
    limits = {(one.account, one.channel): one.silent_after_hours for one in connections.connections}
    found = health.examine(connection, connections, now=now, account_id=account_id)
    return list(_of_each(found, limits, now, patience))


def _of_each(
    found: Sequence[SourceHealth], limits: dict[tuple[str, str], float | None], now: datetime, patience: timedelta
) -> Iterator[tuple[Rule, int]]:
    for one in found:
        if one.last_heard is None:
            continue
        hours, silence = limits.get((one.account_id, one.channel)), now - one.last_heard
        too_long = timedelta(hours=hours) < silence if hours else _out_of_rhythm(one, now)
        told = f"silent for {health.span(silence)}"
        if one.usual_silence is not None:
            told += f", and at this time of the week never longer than {health.span(one.usual_silence)} before"
        elif hours:
            told += f": more than the {hours:g} h of channels.yaml" if too_long else ""
        sentence = f"Orders of the channel {one.channel} still arrive"
        yield (
            Rule(sentence, f"silent: {one.channel}", maximum=0, observed=told),
            int(too_long and (bool(hours) or silence > patience)),
        )


def _out_of_rhythm(one: SourceHealth, now: datetime) -> bool:
    last, usual = one.last_heard, one.usual_silence
    return last is not None and usual is not None and rhythm.is_silent(last, usual, now)
