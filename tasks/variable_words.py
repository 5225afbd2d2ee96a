"""Who lacks a value for what a template says, as a table for people. Counts and masked samples only."""

from collections.abc import Sequence

from data.missing_values import Gap, Gaps
from domain.reports import percent

HEAD = ("Variable", "Have none", "Share", "Read instead", "A few of them")
_LEFT_OUT, _STOPS = "nothing: left out", "nothing: the run stops"


def summary(gaps: Gaps, *, left_out: bool) -> str:
    """The whole in a sentence."""
    if not gaps.lacking:
        return f"All {gaps.people:,} have a value for each of the template's {len(gaps.gaps)} variables."
    if not gaps.without:
        return f"Nobody of {gaps.people:,} people would read a gap: the template has words for whoever has no value."
    return (
        f"{gaps.without:,} of {gaps.people:,} people ({percent(gaps.without / gaps.people)}) would read a gap: they have no"
        " value for something, and the template has no words to put there instead."
        f" {'They are left out.' if left_out else 'So the run stops.'}"
    )


def rows(gaps: Gaps, *, left_out: bool) -> list[tuple[str, int, str, str, str]]:
    """A row a variable that anybody has no value for, the worst first; columns are those of HEAD."""
    return [
        (one.name, one.people, percent(one.people / gaps.people), _instead(one, left_out), ", ".join(one.sample))
        for one in gaps.lacking
    ]


def _instead(gap: Gap, left_out: bool) -> str:
    if gap.instead is None:
        return _LEFT_OUT if left_out else _STOPS
    return f"“{gap.instead}”" if gap.instead else "nothing, as the template means it"


def markdown(gaps: Gaps, *, left_out: bool) -> str:
    """The artifact."""
    parts = ["# Who has no value for what the template says", summary(gaps, left_out=left_out)]
    if found := rows(gaps, left_out=left_out):
        lines = [f"| {' | '.join(HEAD)} |", "|:--|--:|--:|:--|:--|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in found]
        parts.append("\n".join(lines))
    if gaps.without and not left_out:
        parts.append(advice(gaps))
    complete = [one.name for one in gaps.gaps if not one.people]
    if complete and found:
        parts.append(f"Everybody has: {', '.join(complete)}.")
    return "\n\n".join(parts)


def _cells(row: tuple[str, int, str, str, str]) -> Sequence[str]:
    """What may hold signs of markdown is the template's own, and masked addresses, whose stars would be set in italics."""
    name, people, share, instead, sample = row
    return f"`{name}`", f"{people:,}", share, *(_plain(text) for text in (instead, sample))


def _plain(text: str) -> str:
    for sign in "\\`|<>[]*_":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def advice(gaps: Gaps) -> str:
    """What can be done about gaps that stop a run; empty where none does."""
    if not gaps.without:
        return ""
    told = [one for one in gaps.lacking if one.instead is None]
    names = ", ".join(f"{one.name} ({one.people:,} people)" for one in told)
    return (
        f"No value for {names}: give the template words to read instead ([fallbacks] in its template.toml), or start the"
        " run again and leave these people out (`--leave-out-missing`)."
    )
