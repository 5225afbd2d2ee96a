"""Deliverability over time as plain text for a template: groups, what is wrong with them, and what to do."""

from datetime import date, timedelta
from typing import Any

from data.kpi_trends import Key, Trend, Trends
from domain import kpi_advice, kpi_words, kpis, mailbox_groups
from domain.kpi_tables import By
from domain.kpis import Figures, Kpi
from domain.rates import ALARMS, Rate, Verdict
from gateway import sparklines
from gateway.figures import count

PERIODS = {7: "7 days", 28: "28 days", 91: "13 weeks", 364: "52 weeks"}
GROUPINGS: dict[str, tuple[str, tuple[By, ...]]] = {
    "mailbox": ("Mailbox provider", (By.MAILBOX,)),
    "domain": ("Our sender domain", (By.DOMAIN,)),
    "both": ("Mailbox provider × sender domain", (By.MAILBOX, By.DOMAIN)),
}
_SHOWN = 12  # groups; whatever is wrong with a smaller one is shown as well
_LABEL = {kpis.DELIVERABILITY: "Delivered", kpis.BOUNCE_RATE: "Bounced", kpis.COMPLAINT_RATE: "Complained"}
_ORDER = (Verdict.BAD, Verdict.WARN, Verdict.UNSURE, Verdict.GOOD, Verdict.NONE)
_BADGE = {
    Verdict.BAD: ("bad", "far past a line"),
    Verdict.WARN: ("warn", "past a line"),
    Verdict.UNSURE: ("", "past a line, but of too few to be sure"),
    Verdict.GOOD: ("good", "as it should be"),
    Verdict.NONE: ("", "too early to say"),
}


def page(found: Trends, grouping: str, days: int, shops: list[str]) -> dict[str, Any]:
    """Everything on the page."""
    groups = [_group(found, place, one) for place, one in enumerate(found.groups)]
    shown = [one for place, one in enumerate(groups) if place < _SHOWN or one["findings"]]
    anomalies = [kpi_words.anomaly(one, name(found.by, key)) for key, one in found.anomalies]
    return {
        "account": found.account_id,
        "account_name": found.account_name,
        "shops": [{"value": one, "chosen": one == found.account_id} for one in shops],
        "periods": [{"value": n, "label": label, "chosen": n == days} for n, label in PERIODS.items()],
        "groupings": [{"value": n, "label": label, "chosen": n == grouping} for n, (label, _) in GROUPINGS.items()],
        "span": _span(found.since, found.today),
        "step": "day" if found.step_days == 1 else "week",
        "recent_days": found.recent_days,
        "groups": shown,
        "left_out": len(groups) - len(shown),
        "alarms": [one for one in shown if one["findings"]],
        "anomalies": anomalies,
        "legend": kpi_words.LEGEND,
    }


def name(by: tuple[By, ...], key: Key) -> str:
    """What people call a group."""
    return " × ".join(mailbox_groups.shown(one) if of is By.MAILBOX else one for of, one in zip(by, key, strict=True))


def _stands(figures: Figures, one: Trend) -> Verdict:
    """The worst of its figures."""
    some = (kpi_advice.verdict(kpi, figures, may_arrive=one.may_arrive) for kpi in kpi_advice.JUDGED)
    return min(some, key=_ORDER.index)


def _judged(found: Trends, one: Trend) -> tuple[Figures, str]:
    """What a group is judged by, and of when that is: good weeks before do not hide how bad it is now."""
    lately, whole = _stands(one.recent, one), _stands(one.total, one)
    if lately in ALARMS and _ORDER.index(lately) <= _ORDER.index(whole):
        return one.recent, f" in the last {found.recent_days} days"
    return one.total, ""


def _group(found: Trends, place: int, one: Trend) -> dict[str, Any]:
    judged, when = _judged(found, one)
    findings = kpi_advice.findings(judged, may_arrive=one.may_arrive)
    stands = [kpi_advice.verdict(kpi, one.total, may_arrive=one.may_arrive) for kpi in kpi_advice.JUDGED]
    tone, badge = _BADGE[_stands(judged, one)]
    mailbox = one.key[0] if found.by[0] is By.MAILBOX else None
    return {
        "id": f"group-{place}",
        "name": name(found.by, one.key),
        "accepted": count(one.total.accepted),
        "tone": tone,
        "badge": f"{badge}{when}" if findings else badge,
        "findings": [
            {
                "figure": f"{_LABEL[each.kpi]} {kpi_words.plain_rate(each.kpi, each.kpi.of(judged))}"
                f"{kpi_words.sign(each.verdict)}{when}",
                "tone": _BADGE[each.verdict][0],
                "wrong": each.wrong,
                "to_do": each.to_do,
            }
            for each in findings
        ],
        "charts": [
            _chart(found, kpi, one, stood, mailbox) for kpi, stood in zip(kpi_advice.JUDGED, stands, strict=True)
        ],
        "heads": ["From" if found.step_days > 1 else "Day", "Accepted", *_LABEL.values()],
        "rows": [
            [_day(day), count(figures.accepted), *(kpi_words.rate(kpi, kpi.of(figures)) for kpi in kpi_advice.JUDGED)]
            for day, figures in reversed(one.steps)
        ],
    }


def _chart(found: Trends, kpi: Kpi, one: Trend, stood: Verdict, mailbox: str | None) -> dict[str, Any]:
    rate, label = kpi.of(one.total), _LABEL[kpi]
    points = [
        ((day - found.since).days, kpi.of(figures))
        for day, figures in one.steps
        if kpi_advice.verdict(kpi, figures) is not Verdict.NONE or day < found.settled
    ]
    steps = (found.today - found.since) // timedelta(days=1)
    hoped = one.may_arrive if kpi is kpis.DELIVERABILITY else 0
    recent = Rate(kpi.of(one.recent).part, kpi.of(one.recent).whole - hoped)
    return {
        "label": label,
        "value": kpi_words.plain_rate(kpi, rate),
        "tone": _BADGE[stood][0],
        "trend": kpi_words.trend(kpi, recent, kpi.of(one.earlier)),
        "note": kpi_advice.note(kpi, one.total, mailbox, may_arrive=one.may_arrive),
        "line": _line(kpi),
        "drawn": sparklines.drawn(kpi, points, steps, label=f"{label} over time; the numbers are below."),
    }


def _line(kpi: Kpi) -> str:
    assert kpi.lines is not None
    word = "at least" if kpi.lines.high_is_good else "below"
    return f"{word} {100 * kpi.lines.good:g} %, bad {'below' if kpi.lines.high_is_good else 'from'} {100 * kpi.lines.bad:g} %"


def _span(first: date, last: date) -> str:
    year = "" if first.year == last.year else f" {first.year}"
    return f"{_day(first)}{year} to {_day(last)} {last.year}"


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
