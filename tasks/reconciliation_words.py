"""A reconciliation in words: for its artifact, and for the command line. Ids and counts only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from data.reconciliations import Night as Kept
from domain.reconciliation import Difference, Kind
from tasks.comparing import Night

_MOST_ROWS = 100


def headline(found: Sequence[Difference], *, dry_run: bool, troubles: Sequence[str] = ()) -> str:
    """Is all explained, what was repaired, what must a person do: in a sentence each. `troubles`: what was not had."""
    partly = " Not all could be asked and compared." if troubles else ""
    repaired = sum(one.repaired for one in found)
    unexplained = sum(one.left for one in found if one.explanation == "unexplained")
    if not found:
        return f"Nothing differs.{partly}"
    said = "Everything that differs is explained." if not unexplained else f"**{unexplained:,} are unexplained.**"
    mended = "Nothing was repaired: this was a dry run." if dry_run else f"{repaired:,} were repaired."
    return f"{said} {mended} {len(to_do(found))} kind(s) of it need a person.{partly}"


def to_do(found: Sequence[Difference]) -> dict[str, str]:
    """What a person must do, by explanation."""
    return {one.explanation.value: text for one in found if (text := one.to_do) is not None}


def by_date(nights: Sequence[Kept], account_id: str | None) -> list[Kept]:
    """Of each date the last one that came to its end, newest first.

    Not what a dry run saw, and not what one of another account saw (None: of all): they are none of the trend's nights.
    """
    last: dict[str, Kept] = {}
    for night in nights:
        ended = night.finished_at is not None or "report" in night.steps
        if ended and night.account_id == account_id and not night.dry_run:
            last.setdefault(f"{night.started_at:%Y-%m-%d}", night)
    return list(last.values())


def markdown(night: Night, found: Sequence[Difference], steps: Mapping[str, Any], trend: Sequence[Kept]) -> str:
    """The artifact."""
    of = f" of account {night.account_id}" if night.account_id else ""
    troubles = _troubles(steps)
    parts = [
        f"# Reconciliation{of}: {night.first} to {night.last}",
        headline(found, dry_run=night.dry_run, troubles=troubles),
        *(["\n".join(troubles)] if troubles else []),
    ]
    if tasks := to_do(found):
        parts.append(
            "\n".join(["## What a person must do", "", *(f"- *{why}*: {what}" for why, what in tasks.items())])
        )
    if found:
        parts += ["## By kind and explanation", _sums(found), "## One by one", _rows(found)]
    return "\n\n".join([*parts, "## The last nights", trend_table(trend)])


def _troubles(steps: Mapping[str, Any]) -> list[str]:
    """What the ESPs did not answer, and what is left for the next night."""
    lines = []
    for step, told in steps.items():
        if told.get("bought") is False:
            lines.append(
                f"- {step}: there is no Email Activity to ask, so lost events of mail cannot be brought back; the"
                " suppression lists were read all the same."
            )
        if told.get("trouble"):
            lines.append(f"- {step}: {told['trouble']}")
        if left := [f"{told[name]:,} {name.removesuffix('_left')}" for name in _LEFT if told.get(name)]:
            lines.append(f"- {step}: {' and '.join(left)} are left for the next night.")
    return lines


_LEFT = ("attempts_left", "stories_left")


def _sums(found: Sequence[Difference]) -> str:
    sums: dict[tuple[Kind, str], list[int]] = defaultdict(lambda: [0, 0])
    for one in found:
        sums[one.kind, one.explanation][0] += one.count
        sums[one.kind, one.explanation][1] += one.repaired
    rows = [f"| {kind} | {why} | {count:,} | {repaired:,} |" for (kind, why), (count, repaired) in sorted(sums.items())]
    return "\n".join(["| Kind | Explanation | Differ | Repaired |", "|:--|:--|--:|--:|", *rows])


def _rows(found: Sequence[Difference]) -> str:
    head = [
        "| Day | ESP | What | Of | Here | There | Differ | Repaired | Why |",
        "|:--|:--|:--|:--|--:|--:|--:|--:|:--|",
    ]
    ordered = sorted(found, key=lambda one: (-one.left, one.day, one.kind))
    rows = [
        f"| {one.day} | {one.provider} | {one.kind}{f': {one.measure}' if one.measure else ''} |"
        f" {_cell(one.run_id or one.campaign or '')} | {_number(one.here)} | {_number(one.there)} | {one.count:,} |"
        f" {one.repaired:,} | {one.explanation}{f' ({one.detail})' if one.detail else ''} |"
        for one in ordered[:_MOST_ROWS]
    ]
    more = [f"\n… and {len(ordered) - _MOST_ROWS:,} more: `campaigns reconcile history` lists them."]
    return "\n".join([*head, *rows, *(more if len(ordered) > _MOST_ROWS else [])])


def trend_table(nights: Sequence[Kept]) -> str:
    """One row a night, newest first."""
    head = ["| Night | " + " | ".join(kind.value for kind in Kind) + " | Repaired | Unexplained |"]
    head.append("|:--|" + "--:|" * (len(Kind) + 2))
    rows = [
        f"| {night.started_at:%Y-%m-%d} | "
        + " | ".join(f"{night.counts.get(kind, 0):,}" for kind in Kind)
        + f" | {night.repaired:,} | {night.unexplained:,} |"
        for night in nights
    ]
    return "\n".join([*head, *rows])


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _cell(text: str) -> str:
    """Names of campaigns are people's own: one must not break the table."""
    return " ".join(text.split()).replace("|", "\\|")
