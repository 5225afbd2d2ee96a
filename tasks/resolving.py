"""Asking the ESPs what became of the batches that nobody knows the outcome of."""

import time
from collections import Counter
from contextlib import closing

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from data import database, ledger_sweep, resolution
from domain.ports import PUT_OFF, Inquirer
from tasks import esps, wiring

# The flow comes back every minute, and events wait behind it: an ESP that answers slowly must not hold them up.
_LONGEST_ROUND_SECONDS = 30.0


@task(task_run_name="list unknown batches", cache_policy=NO_CACHE)
def providers_to_ask() -> list[str]:
    """The ESPs of batches that are unknown and due to be asked about; dead workers' batches are unknown from here on.

    A batch that can be called back has few minutes: it must not wait for the sweep to find its worker dead.
    """
    with database.write(wiring.engine()) as connection:
        now = wiring.clock()
        lost = ledger_sweep.lose(connection, now=now)
        questions = resolution.unresolved(connection, now=now)
    if lost or questions:
        get_run_logger().info("%d batches lost their worker; %d unknown ones to ask about", lost, len(questions))
    return resolution.providers(questions)


# No retries: the flow asks again a minute later.
@task(task_run_name="ask {provider} about unknown batches", cache_policy=NO_CACHE, retries=0)
def resolve(provider: str) -> dict[str, int]:
    """Ask one ESP about its unknown batches, soonest deadline first, and do what it proves. Safe to repeat."""
    if esps.is_host(provider):  # it is asked about its campaigns (tasks/host_upkeep.py)
        return {}
    inquirer = esps.reach(provider).inquirer()
    if inquirer is None:  # events may still confirm; else the batches are held
        return {}
    with closing(inquirer):
        counts = _asked(inquirer, provider)
    get_run_logger().info("%s says: %s", provider, dict(counts))
    return {f"{provider}_{name}": count for name, count in counts.items()}


def _asked(inquirer: Inquirer, provider: str) -> Counter[str]:
    began, counts = time.monotonic(), Counter[str]()
    with database.read(wiring.engine()) as connection:
        questions = resolution.unresolved(connection, now=wiring.clock())
    for question in questions:
        if question.provider != provider:
            continue
        if time.monotonic() - began > _LONGEST_ROUND_SECONDS:
            break
        answer = inquirer.inquire(question.attempt, now=wiring.clock())
        with database.write(wiring.engine()) as connection:
            state = resolution.apply(connection, question.batch_id, question.attempt.attempt_id, answer, wiring.clock())
        counts[state or "cannot_tell"] += 1
        get_run_logger().info("Batch %d: %s by %s: %s", question.batch_id, answer.finding, answer.kind, answer.raw)
        if answer.kind == PUT_OFF:
            break
    return counts
