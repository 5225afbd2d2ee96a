"""Look again: hourly, whether what bounced softly is gone for good, and what refusals nobody understood."""

from prefect import flow

from tasks import bounces, upkeep


@flow(name="look-again")
def look_again() -> dict[str, int]:
    """Second looks at bounced addresses, limits judged anew, and the texts that the table of bounces lacks."""
    failures = upkeep.Failures()
    counts: dict[str, int] = {}
    with failures.kept("look once more at bounced addresses"):
        counts |= bounces.second_look()
    with failures.kept("judge bounced addresses"):
        counts |= bounces.judge_addresses()
    with failures.kept("show unknown texts"):
        counts["unknown_texts"] = bounces.show_unknown()
    failures.raise_kept()
    return counts
