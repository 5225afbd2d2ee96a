"""What follows from bounces once their events are applied: limits judged, domains looked up again, our own faults told."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

import settings
from data import (
    address_marks,
    database,
    pair_guards,
    runs,
    second_looks,
    sender_refusals,
    soft_bounces,
    unknown_replies,
)
from data.pair_guards import Held
from data.unknown_replies import UnknownReply
from domain.campaigns import Run, RunStatus
from domain.guardrails import Guard, GuardAction
from domain.sender_faults import TO_DO, Trouble
from tasks import esps, wiring

_AT_ONCE = 8
# Each may take three seconds, and eight are asked at once: six minutes at worst. More wait for the next hour.
_MOST_DOMAINS = 1000
_SHOWN = 10


class SenderAtFault(RuntimeError):
    """Mailbox providers refuse mail for our own fault, and something was held back: an alarm for an operator."""


@task(task_run_name="judge bounced addresses", cache_policy=NO_CACHE)
def judge_addresses() -> dict[str, int]:
    """Suppress where soft bounces became too many, lift where mail arrived, and let the engaged be asked once more."""
    found = soft_bounces.judge(wiring.engine(), installation=settings.load().sending, now=wiring.clock())
    counts = asdict(found)
    get_run_logger().info("Bounced addresses: %s", counts)
    return {f"bounced_{name}": count for name, count in counts.items()}


@task(task_run_name="watch for our own faults", cache_policy=NO_CACHE)
def watch_senders() -> int:
    """Hold back what is refused for our own fault; how many ways and runs that were. Raises SenderAtFault if any.

    What was held back stays so: the error is the alarm, and comes once for each.
    """
    engine, now = wiring.engine(), wiring.clock()
    with database.read(engine) as connection:
        seen = pair_guards.observe(connection, now)
        live = [run for run in runs.with_status(connection, RunStatus.DISPATCHING) if run.plan.live]
        content = [(run, pair_guards.observe_content(connection, run)) for run in live]
    ways: list[Held] = []
    stopped: list[tuple[Run, Guard]] = []
    for one in seen:
        with database.write(engine) as connection:
            ways += pair_guards.guard(connection, one)
    for run, refused in content:
        with database.write(engine) as connection:
            guard = pair_guards.hold(connection, run, refused, now)
        if guard is not None:
            stopped.append((run, guard))
    if not ways and not stopped:
        return 0
    lines = [*map(_way_line, ways), *(_run_line(run, guard) for run, guard in stopped)]
    create_markdown_artifact(
        "# Mail is refused for our own fault\n\nNobody was suppressed for it.\n\n"
        + "\n".join(f"- {one}" for one in lines),
        key="sender-faults",
        description=f"{len(lines)} held back since {now:%Y-%m-%d %H:%M} UTC",
    )
    raise SenderAtFault(" ".join(lines))


def _way_line(one: Held) -> str:
    what = "is paused" if one.guard.action is GuardAction.PAUSE else "goes at half its pace"
    ends = f"until {one.until:%Y-%m-%d %H:%M} UTC" if one.until is not None else "until a person lifts it"
    return (
        f"{one.way.provider} {what} at {one.way.mailbox_group} (account {one.account_id}), {ends}: {one.guard.reason}. What"
        f" to do: {TO_DO[one.trouble]} (`campaigns guards lift {one.brake_id} --by NAME --why REASON`)."
    )


def _run_line(run: Run, guard: Guard) -> str:
    return (
        f"Run {run.id} of {run.plan.campaign} is paused: {guard.reason}. What to do: {TO_DO[Trouble.CONTENT]}"
        f" (`campaigns resume {run.id}`, `campaigns cancel {run.id}`)."
    )


@task(task_run_name="look once more at bounced addresses", cache_policy=NO_CACHE)
def second_look() -> dict[str, int]:
    """Ask the DNS for domains that were not found, have judged again what time alone changed, and clear out old rows."""
    engine, now, config = wiring.engine(), wiring.clock(), settings.load().dns
    counts = {
        "forgotten_marks": address_marks.forget(engine, now=now),
        "recalled": address_marks.recall(engine, now=now),
    }
    with database.write(engine) as connection:
        counts["forgotten_refusals"] = sender_refusals.forget(connection, now)
        counts["dropped_texts"] = unknown_replies.trim(connection)
        look_ups = min(config.look_ups_a_night, _MOST_DOMAINS)
        asked = second_looks.due(connection, now=now, look_ups=look_ups) if look_ups else {}
    if asked:
        server, domains = esps.name_server(), list(asked)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            hosts = dict(zip(domains, threads.map(server.mail_hosts, domains), strict=True))
        with database.write(engine) as connection:
            counts["without_host"] = second_looks.settle(connection, asked, hosts, now=now)
    get_run_logger().info("Second looks: %d domains asked; %s", len(asked), counts)
    return counts | {"domains": len(asked)}


@task(task_run_name="show unknown texts", cache_policy=NO_CACHE)
def show_unknown() -> int:
    """An artifact of the refusals whose words nobody knows yet, the commonest first; how many texts there are."""
    with database.read(wiring.engine()) as connection:
        texts, refusals = unknown_replies.totals(connection)
        replies = unknown_replies.listing(connection, limit=_SHOWN)
    create_markdown_artifact(
        unknown_page(texts, refusals, replies), key="unknown-replies", description="Refusals whose words nobody knows"
    )
    return texts


def unknown_page(texts: int, refusals: int, replies: Sequence[UnknownReply]) -> str:
    """Markdown of the commonest texts; they are other people's words, so they stand in code."""
    if not texts:
        return "# Unknown refusals\n\nNone: every refusal was in words that the table of bounces knows."
    rows = [
        f"| {one.count:,} | {one.provider} | {one.mailbox_group} | {one.last_seen:%Y-%m-%d} | `{_in_cell(one.text)}` |"
        for one in replies
    ]
    return (
        f"# Unknown refusals\n\n{refusals:,} refusals in {texts:,} texts that the table of bounces does not know. They count"
        " as soft, and against nobody. `campaigns bounces unknown` lists them all.\n\n"
        "| Refusals | Provider | Mailbox provider | Last | Text |\n|--:|:--|:--|:--|:--|\n" + "\n".join(rows)
    )


def _in_cell(text: str) -> str:
    return text.replace("`", "'").replace("|", "\\|")
