"""What operators read about the intake on the Artifacts tab. Counts and order numbers only, no addresses."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data import accounts, database, dead_letters
from data.dead_letters import DeadLetter
from data.intake import health
from data.intake.health import SourceHealth
from tasks import wiring
from tasks.artifacts import bar

_TOP = 10
_REASON = 200  # characters
# A raw order's number is whatever stands in that field: only what looks like one is shown to everybody.
_NUMBER = re.compile(r"[A-Za-z0-9#._:/-]{1,40}")


class IntakeUnwell(RuntimeError):
    """A source of orders needs somebody. Nothing is lost; the message says what to do."""


@task(task_run_name="look at the sources of orders", cache_policy=NO_CACHE)
def publish_health() -> int:
    """Each source with its figures; return how many there are. Raises IntakeUnwell."""
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        found = health.examine(connection, wiring.connections(), now=now)
    create_markdown_artifact(health_page(found, now), key="intake-health", description="How each source of orders does")
    if unwell := [one for one in found if one.alarms]:
        told = "; ".join(f"{one.channel} of {one.account_id}: {', '.join(one.alarms)}" for one in unwell)
        raise IntakeUnwell(f"{told} – `campaigns intake health` shows all sources")
    return len(found)


def health_page(found: list[SourceHealth], now: datetime) -> str:
    """Markdown: what somebody should do, and one row a source."""
    lines = [f"# Sources of orders, {now:%Y-%m-%d %H:%M} UTC", ""]
    if not found:
        return "\n".join([*lines, "No channel is declared, and none has brought an order yet."])
    unwell = [one for one in found if one.alarms]
    lines += [f"**{len(unwell)} of {len(found)} need somebody:**" if unwell else "All are well.", ""]
    lines += [f"- **{one.channel}** of {one.account_id}: {_cell(alarm)}" for one in unwell for alarm in one.alarms]
    heads = ("", "Account", "Channel", "Last heard", "Waiting", "Lag", "Orders (24 h)", "Refused", "Open dead letters")
    lines += [
        "",
        f"| {' | '.join(heads)} | API read up to | Webhook |",
        "|:-:|:--|:--|:--|--:|--:|--:|--:|--:|:--|:--|",
    ]
    lines += [
        f"| {'❌' if one.alarms else '✅'} | {one.account_id} | {one.channel} | {_ago(one.last_heard, now)} |"
        f" {one.waiting:,} | {health.span(one.lag)} | {one.orders:,} | {health.percent(one.refused_share)} |"
        f" {one.open_letters:,} | {_age(one.cursor_age)} | {one.subscription or '–'} |"
        for one in found
    ]
    return "\n".join(lines)


def _number(external_id: str | None) -> str:
    return external_id if external_id and _NUMBER.fullmatch(external_id) else "?"


def _cell(text: str, longest: int | None = None) -> str:
    """Text that stays in its cell of a markdown table, and ends between two words."""
    text = " ".join(text.split())
    if longest is not None and len(text) > longest:
        text = f"{text[:longest].rpartition(' ')[0]} …"
    return text.replace("|", "\\|")


def _ago(at: datetime | None, now: datetime) -> str:
    return _age(now - at) if at else "never"


def _age(age: timedelta | None) -> str:
    return f"{health.span(age)} ago" if age is not None else "–"


@task(task_run_name="show the dead letters", cache_policy=NO_CACHE)
def publish_dead_letters() -> None:
    """The ten that cost most, account by account, and the trend of the last seven days."""
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        top = {
            account: dead_letters.listing(connection, account, now=now, limit=_TOP)
            for account in accounts.names(connection)
        }
        trend = health.trend(connection, now=now)
    create_markdown_artifact(
        letters_page(top, trend, now),
        key="dead-letters",
        description="Orders that could not be used, the dearest first",
    )


def letters_page(top: dict[str, list[DeadLetter]], trend: Sequence[tuple[datetime, int, int]], now: datetime) -> str:
    """Markdown: a table an account, and a bar a day."""
    lines = [f"# Dead letters, {now:%Y-%m-%d %H:%M} UTC", ""]
    for account, letters in top.items():
        lines += [f"## {account}", ""]
        if not letters:
            lines += ["None open.", ""]
            continue
        lines += ["| No. | Score | Channel | Order | Waits | Reason |", "|--:|--:|:--|:--|--:|:--|"]
        lines += [
            f"| {one.id} | {one.score:,} | {one.source} | {_number(one.row.external_id)} |"
            f" {health.span(now - one.created_at)} | {_cell(one.row.reason, _REASON)} |"
            for one in letters
        ]
        shows = f"`campaigns intake dead-letters --account {account} --payload` shows the records"
        lines += ["", f"{shows}, `campaigns intake replay` takes them in.", ""]
    most = max((refused for _, _, refused in trend), default=0)
    lines += ["## Refused in the last seven days", "", "| Until | Orders | Refused | |", "|:--|--:|--:|:--|"]
    lines += [f"| {end:%a %d %b} | {orders:,} | {refused:,} | {bar(refused, most)} |" for end, orders, refused in trend]
    return "\n".join(lines)
