"""A preview with something in each of its parts."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from domain.previews import (
    Described,
    Earlier,
    Held,
    Money,
    Overlap,
    Part,
    Preview,
    Question,
    Sample,
    Size,
    Split,
    Verdict,
)
from tests.conftest import NOW

DAY = timedelta(days=1)


def a_preview(**facts: Any) -> Preview:
    return replace(_PREVIEW, **facts)


_PREVIEW = Preview(
    id="p0123456789abcdef01234567",
    account_id="shop",
    account_name="The Shop",
    currency="EUR",
    question=Question(
        segment="lapsed and not high-refunders",
        sentences=("is in (lapsed and not high-refunders)", "country is DE"),
        without=("vip",),
        definition_hash="0123456789abcdef" * 4,
        limit=9000,
        holdout_percent=5,
        segments=(
            Described("lapsed", "Silent for a while.", ("days 90", "category toys (default)")),
            Described("vip", "The top tenth."),
        ),
    ),
    as_of=NOW - timedelta(hours=5),
    made_at=NOW,
    members=1000,
    customers=20_000,
    trend=(Size(NOW - 2 * DAY, 900), Size(NOW - DAY, 1010), Size(NOW, 1000)),
    lifetime=Money(Decimal("50000.25"), Decimal(1_000_000)),
    last_year=Money(Decimal(10_000), Decimal(400_000)),
    splits=(
        Split("Country", (Part("DE", 1000, 12_000), Part("AT", 0, 8000))),
        Split("Channel", (Part("web", 900, 15_000), Part("amazon", 300, 9000)), several=True),
        Split("Mailbox provider", (Part("gmail", 600, 9000), Part("other", 400, 11_000))),
    ),
    sample=(Sample("A*** B***", "DE", 3, date(2026, 3, 1), Decimal(321)),),
    overlaps=(Overlap("repeat-customers", "Ordered at least twice.", 800, 4000),),
    earlier=(Earlier("rabcdefghjkmn", "black week", NOW - 4 * DAY, 250, 9000),),
    verdict=Verdict(
        planned=760,
        skipped={"no_address": 40, "no_consent": 150, "holdout": 50},
        held=(Held("Europe/Berlin", 700, NOW + timedelta(hours=2)),),
    ),
    unknown=("The overlap with broken is not known: there is no column 'x'.",),
    warnings=("No order names category “toyz”: did you mean “toys”?",),
)
