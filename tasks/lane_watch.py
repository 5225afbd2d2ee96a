"""Looking after the transactional lane: what nobody works on, what nobody knows, and whether it does well."""

import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

import settings
from data import (
    accounts,
    database,
    lane_checks,
    lane_figures,
    message_requests,
    transactional_resolution,
    transactional_sweep,
)
from data.lane_figures import LaneFigures
from data.transactional_audit import LaneAudit
from domain.ledger import BatchState
from domain.ports import PUT_OFF, Inquirer
from tasks import esps, lane_audits, lane_state, wiring

_AUDITED = timedelta(days=2)
_SHOWN = timedelta(days=1)
_REMEMBERED = timedelta(days=7)
# A message is unknown for six minutes at most: an ESP that answers slowly must not keep the sweep from it.
_LONGEST_ROUND_SECONDS = 20.0


class LaneUnwell(RuntimeError):
    """Mail that customers wait for does not go, or nothing is heard of it; the message says what to look at."""


class LaneUnbalanced(RuntimeError):
    """The books of transactional mail do not balance; nothing was changed."""


@task(task_run_name="list unknown messages", cache_policy=NO_CACHE)
def providers_to_ask() -> list[str]:
    """The ESPs of transactional messages that nobody knows the outcome of."""
    with database.read(wiring.engine()) as connection:
        return transactional_resolution.providers(transactional_resolution.unresolved(connection))


# No retries: the flow asks again a minute later.
@task(task_run_name="ask {provider} about unknown messages", cache_policy=NO_CACHE, retries=0)
def resolve(provider: str) -> dict[str, int]:
    """Ask one ESP about its unknown messages, the most urgent first, and do what it proves. Safe to repeat."""
    if not esps.is_declared(provider) or esps.is_host(provider):
        return {}
    inquirer = esps.reach(provider).inquirer()
    if inquirer is None:  # events may still confirm; else each goes once more, flagged
        return {}
    with closing(inquirer):
        counts = _asked(inquirer, provider)
    get_run_logger().info("%s says: %s", provider, dict(counts))
    return {f"{provider}_{name}": count for name, count in counts.items()}


def _asked(inquirer: Inquirer, provider: str) -> Counter[str]:
    began, counts = time.monotonic(), Counter[str]()
    with database.read(wiring.engine()) as connection:
        questions = transactional_resolution.unresolved(connection)
    for question in questions:
        if question.provider != provider:
            continue
        if time.monotonic() - began > _LONGEST_ROUND_SECONDS:
            break
        answer = inquirer.inquire(question.attempt, now=wiring.clock())
        with database.write(wiring.engine()) as connection:
            state = transactional_resolution.apply(connection, question, answer, wiring.clock())
        counts[state or "cannot_tell"] += 1
        if answer.kind == PUT_OFF:
            break
    return counts


@task(task_run_name="sweep the lane", cache_policy=NO_CACHE)
def sweep() -> dict[str, int]:
    """Close what nobody works on. Dispatchers do, too, every few seconds: this is for when none lives."""
    with database.write(wiring.engine()) as connection:
        swept = transactional_sweep.sweep(connection, wiring.clock())
    counts = asdict(swept)
    get_run_logger().info("Sweep of the lane: %s", counts)
    return counts


@task(task_run_name="forget old requests", cache_policy=NO_CACHE)
def forget_requests() -> int:
    """Idempotency keys of more than a week ago. A message's id is made of its key: it is not made a second time later."""
    with database.write(wiring.engine()) as connection:
        return message_requests.forget(connection, wiring.clock() - _REMEMBERED)


@task(task_run_name="ask for lane checks", cache_policy=NO_CACHE)
def ask_checks() -> int:
    """Every five minutes one message to our own mailbox by each transactional way; those of last week go."""
    mailboxes = settings.load().seeds.mailboxes
    with database.write(wiring.engine()) as connection:
        now = wiring.clock()
        lane_checks.purge(connection, now=now)
        if not mailboxes:
            get_run_logger().info("No seed mailbox is set (OMS_SEEDS_MAILBOXES): the lane is not tried by itself")
            return 0
        ways = lane_state.ways(connection)
        return lane_checks.ask(connection, ways, mailboxes, pepper=wiring.pepper(), now=now)


@task(task_run_name="look whether the lane is well", cache_policy=NO_CACHE)
def listen() -> None:
    """Raise LaneUnwell with all that is wrong now."""
    with database.read(wiring.engine()) as connection:
        told = lane_state.alarms(connection, wiring.clock())
    if told:
        raise LaneUnwell(" ".join(told))


@task(task_run_name="show the lane", cache_policy=NO_CACHE)
def show() -> None:
    """The figures of the last day as an artifact beside the key figures."""
    with database.read(wiring.engine()) as connection:
        found = lane_figures.read(connection, now=wiring.clock(), window=_SHOWN)
    create_markdown_artifact(
        _markdown(found), key="transactional-lane", description="Transactional mail of the last day"
    )


def _markdown(found: LaneFigures) -> str:
    page = f"{settings.load().gateway.public_url}/lane"
    rows = []
    for one in found.classes:
        took = (f"{each:.2f} s" if each is not None else "–" for each in (one.latency.p50, one.latency.p99))
        ends = (f"{one.states.get(state, 0):,}" for state in (BatchState.ACCEPTED, *_LOST))
        cells = (one.urgency.name.lower(), f"{one.backlog.open:,}", f"{one.asked:,}", *ends, f"{one.resent:,}", *took)
        rows.append(f"| {' | '.join(cells)} |")
    heads = (
        "Class",
        "Open now",
        "Asked",
        "Accepted",
        *(str(one).capitalize() for one in _LOST),
        "Sent again",
        "p50",
        "p99",
    )
    lines = [f"| {' | '.join(heads)} |", f"|:--|{'--:|' * (len(heads) - 1)}", *rows]
    told = "\n".join(lines)
    return f"# Transactional mail, 24 hours up to {found.until:%Y-%m-%d %H:%M} UTC\n\n{told}\n\n[The lane as a page]({page})"


_LOST = (BatchState.REJECTED, BatchState.SUPPRESSED, BatchState.EXPIRED, BatchState.HELD)


@task(task_run_name="audit transactional mail", cache_policy=NO_CACHE)
def audit() -> None:
    """Audit each account's last two days. Raises LaneUnbalanced, so that the flow run fails and alarms fire."""
    with database.read(wiring.engine()) as connection:
        names = accounts.names(connection)
    audits = {name: lane_audits.audit_of(name, _AUDITED) for name in names}
    lines = [f"- `{name}`: {_sentence(found)}" for name, found in audits.items()]
    told = "\n".join(lines) or "Nothing to audit."
    create_markdown_artifact(
        f"# Audit of transactional mail\n\n{told}",
        key="transactional-audit",
        description="Does transactional mail balance?",
    )
    bad = {name: found for name, found in audits.items() if not found.balanced}
    if bad:
        said = "; ".join(f"{name}: {', '.join(found.complaints)}" for name, found in bad.items())
        raise LaneUnbalanced(f"Transactional mail does not balance. Nothing was changed. {said}")


def _sentence(found: LaneAudit) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))
    wrong = f". **Wrong:** {'; '.join(found.complaints)}" if found.complaints else ", and it balances"
    twice = "" if found.twice is None else f", {found.twice:,} twice by the ESP's record ({found.flagged:,} flagged)"
    return f"{found.asked:,} asked for{f' ({states})' if states else ''}{twice}{wrong}"
