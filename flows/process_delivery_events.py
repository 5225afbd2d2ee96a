"""Process delivery events: what the ESPs' webhooks brought, every minute."""

from prefect import flow

from tasks import bounces, guarding, hosting, lifting, live, reporting, resolving, upkeep


@flow(name="process-delivery-events")
def process_delivery_events() -> dict[str, int]:
    """Apply the stored webhook bodies, hold back what fares badly, ask about what they do not tell, then close and settle.

    Deadlines pass whether or not events can be read and ESPs answer, and silence is judged, too: so all of it runs in any
    case. The sweep holds batches for good, so whoever could still tell is asked before.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    _follow_hosts(counts, failures)
    with failures.kept("process delivery events"):
        counts |= upkeep.process_events()
    changed: list[str] = []
    with failures.kept("list the runs that changed"):
        changed = live.changed_runs()
    with failures.kept("refresh key figures"):
        counts |= reporting.keep_figures()
    with failures.kept("show live counters"):
        live.show_counters(changed)
    with failures.kept("judge bounced addresses"):
        counts |= bounces.judge_addresses()
    with failures.kept("take addresses off the ESPs' lists"):
        counts |= lifting.leave_lists()
    with failures.kept("watch for our own faults"):
        bounces.watch_senders()
    with failures.kept("watch the runs that hand over"):
        for run_id in guarding.runs_to_watch():
            with failures.kept(f"watch {run_id}"):
                guarding.watch_run(run_id)
    with failures.kept("list unknown batches"):
        for provider in resolving.providers_to_ask():
            with failures.kept(f"ask {provider} about unknown batches"):
                counts |= resolving.resolve(provider)
    with failures.kept("sweep the ledger"):
        counts |= reporting.sweep_ledger()
    with failures.kept("look after the runs"):
        counts |= upkeep.look_after_runs()
    failures.raise_kept()
    return counts


def _follow_hosts(counts: dict[str, int], failures: upkeep.Failures) -> None:
    """Whether what campaign hosts were asked for went out: a call a run. Their reports are the flow pull-reports' work."""
    with failures.kept("list the runs at campaign hosts"):
        for run_id in hosting.runs_to_follow():
            with failures.kept(f"follow {run_id} at its host"):
                for name, count in hosting.follow(run_id).items():
                    counts[name] = counts.get(name, 0) + count
