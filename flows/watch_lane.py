"""Watch the lane: every minute, whether mail that customers wait for goes, and what became of what nobody knows."""

from prefect import flow

from tasks import lane_watch, upkeep


@flow(name="watch-lane")
def watch_lane() -> dict[str, int]:
    """Ask about unknown messages, close what nobody works on, try every way, then look. Fails as an alarm.

    Asked first: the sweep lets an unknown message go once more, so whoever could still tell is asked before.
    """
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("list unknown messages"):
        for provider in lane_watch.providers_to_ask():
            with failures.kept(f"ask {provider} about unknown messages"):
                counts |= lane_watch.resolve(provider)
    with failures.kept("sweep the lane"):
        counts |= lane_watch.sweep()
    with failures.kept("ask for lane checks"):
        counts["checks"] = lane_watch.ask_checks()
    with failures.kept("forget old requests"):
        counts["forgotten"] = lane_watch.forget_requests()
    with failures.kept("look whether the lane is well"):
        lane_watch.listen()
    failures.raise_kept()
    return counts
