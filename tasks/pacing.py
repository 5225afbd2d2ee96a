"""The plan of a run before it begins, put together: its people, its ways out, and what the last weeks saw."""

from dataclasses import replace
from datetime import timedelta

import settings
from data import database, runs, traffic_rows, volumes
from domain import pace_plan, pacing
from domain.pace_plan import PacePlan, Question
from domain.suppression import Stream
from tasks import esps, pace_words, wiring


def of_run(run_id: str) -> PacePlan:
    """How the people of a frozen run would go out, were all of it to begin now. Raises what runs.get raises."""
    now = wiring.clock()
    with database.read(wiring.engine()) as connection:
        run = runs.get(connection, run_id)
        account_id = run.plan.account_id
        people = volumes.planned(connection, run_id)
        days = volumes.by_day(connection, account_id, now=now)
        warm_ups = traffic_rows.warm_ups(connection, account_id)
        answers = traffic_rows.latencies(connection, Stream.MARKETING)
        routes = wiring.permitted(connection, run)
    policy = settings.load().sending
    plan = pace_plan.make(
        Question(
            people=people,
            routes=routes,
            starts_at=now,
            batch_size=policy.batch_size,
            window=timedelta(hours=policy.window_hours),
            ahead=timedelta(minutes=policy.release_ahead_minutes),
            wait=timedelta(minutes=policy.canary_minutes if run.canary is not None else 0),
            call_back=timedelta(minutes=policy.call_back_minutes if run.plan.two_phase else 0),
            reserved=pacing.RESERVE,
            warm_ups=warm_ups,
            answers=answers,
            largest_day=volumes.largest_day(days, now=now),
            today=volumes.today(days, now=now),
        )
    )
    if not esps.is_host(run.plan.provider):
        return plan
    return replace(plan, warnings=(pace_words.by_host(run.plan.provider), *plan.warnings))
