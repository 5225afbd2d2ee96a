"""A run's plan in words: a line for the one who approves, a section for the artifact."""

from datetime import datetime, timedelta

from domain.pace_plan import GroupPlan, PacePlan


def line(plan: PacePlan) -> str:
    """All in one line: how long, the largest group, and the first warning."""
    told = [f"takes about {duration(plan.takes)}"]
    if plan.groups:
        largest = plan.groups[0]
        told.append(f"largest group {largest.shown}, {largest.people:,} people, limited by the {largest.limited_by}")
    if plan.warnings:
        more = f" (and {len(plan.warnings) - 1} more)" if len(plan.warnings) > 1 else ""
        told.append(f"**warning**: {plan.warnings[0]}{more}")
    return "; ".join(told)


def by_host(provider: str) -> str:
    """Of a run whose ESP sends it itself: what of our plan does not apply there."""
    return (
        f"{provider} sends it itself, to everybody at once: no canary goes first, mailbox providers are not paced,"
        " the quiet hours are those of the shop's own zone. It is scheduled minutes ahead and can be called back until it"
        " goes; then no more"
    )


def markdown(plan: PacePlan) -> str:
    """The section of an artifact."""
    head = ["Mailbox provider", "People", "A minute", "Released until (UTC)", "Limited by", "Largest day of 4 weeks"]
    rows = [f"| {' | '.join(_cells(one))} |" for one in plan.groups]
    rates = (
        f"Were it to begin now: **handed over** to the ESP until {moment(plan.handed_over_at)} UTC"
        f" ({plan.hand_over_per_minute:,.0f} a minute), **released** to the mailbox providers until"
        f" {moment(plan.released_at)} UTC, in {duration(plan.takes)}."
    )
    parts = [
        "## How it goes out",
        "\n".join(f"> **{one}**" for one in plan.warnings),
        rates,
        "\n".join([f"| {' | '.join(head)} |", "|:--|--:|--:|:--|:--|--:|", *rows]) if rows else "",
        "\n".join(f"- {one}" for one in plan.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _cells(group: GroupPlan) -> list[str]:
    return [
        group.shown,
        f"{group.people:,}",
        f"{group.per_minute:,.0f}",
        moment(group.ends_at),
        group.limited_by,
        f"{group.largest_day:,}",
    ]


def moment(at: datetime) -> str:
    """An instant in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def duration(time: timedelta) -> str:
    """As people say it, in two units at most: 40 seconds, 2 h 15 min, 3 days 4 h."""
    seconds = round(time.total_seconds())
    minutes, hours, days = round(seconds / 60), seconds // 3600, seconds // 86400
    if seconds < 2 * 60:
        return f"{max(seconds, 1)} seconds" if seconds > 1 else "a second"
    if minutes < 2 * 60:
        return f"{minutes} minutes"
    if days < 2:  # noqa: PLR2004 - so many hours are still hours to people
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{days} days {hours - days * 24} h"
