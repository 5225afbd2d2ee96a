"""An account's key figures as plain text for a template."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

from data.kpi_overview import DAYS, Overview
from domain import kpi_tables, kpi_words, kpis, mailbox_groups
from domain.kpis import Figures
from domain.rates import Rate

_LINES_DRAWN = 5
THE_REST = "Smaller providers"


def page(found: Overview) -> dict[str, Any]:
    """Everything on the page of an account's key figures, the plot apart."""
    spans = kpi_tables.spans(found.spans)
    rules = ", ".join(str(one) for one in sorted(found.spans[f"{DAYS} days"].rules))
    return {
        "account_id": found.account_id,
        "account": found.account_name,
        "until": f"{found.today.day} {found.today:%B %Y}",
        "days": DAYS,
        "heads": ["", *found.spans],
        "rows": [{"cells": list(row), "meaning": _meaning(row[0])} for row in spans],
        "provider_heads": list(kpi_tables.PROVIDER_HEADS),
        "providers": [list(row) for row in kpi_tables.providers(found.by_mailbox, found.week, found.week_before)],
        "legend": kpi_words.LEGEND,
        "rules": rules,
        "any": bool(found.by_mailbox),
    }


def _meaning(label: str) -> str:
    """What a figure tells, in a marketer's words."""
    return next((kpi.meaning for kpi in kpis.ALL.values() if kpi.label == label), "")


def by_day(found: Overview) -> Mapping[str, Mapping[date, Rate]]:
    """Deliverability by day of the largest mailbox providers, under the names that people know; the rest together."""
    sizes = Counter({group: one.figures.accepted for group, one in found.by_mailbox.items()})
    drawn = {group: mailbox_groups.shown(group) for group, _ in sizes.most_common(_LINES_DRAWN)}
    sums: dict[str, dict[date, Figures]] = {name: defaultdict(Figures) for name in (*drawn.values(), THE_REST)}
    for (day, group), one in found.by_day.items():
        sums[drawn.get(group, THE_REST)][day] += one.figures
    return {
        name: {day: kpis.DELIVERABILITY.of(figures) for day, figures in sorted(days.items())}
        for name, days in sums.items()
        if days
    }
