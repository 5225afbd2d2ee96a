"""Tables of key figures as a marketer reads them: the rows that the page and the artifact share."""

from collections.abc import Mapping
from enum import StrEnum

from domain import kpi_words, kpis, mailbox_groups
from domain.kpis import Measured
from domain.rates import Verdict


class By(StrEnum):
    """What figures can be told apart by."""

    RUN = "run"
    CAMPAIGN = "campaign"
    SEGMENT = "segment"
    PROVIDER = "provider"
    POOL = "pool"
    DOMAIN = "domain"
    MAILBOX = "mailbox"
    DAY = "day"


# What each of them is, for the help of commands and docs/kpis.md.
MEANING = {
    By.RUN: "a campaign run",
    By.CAMPAIGN: "all runs of a campaign",
    By.SEGMENT: "who was chosen",
    By.PROVIDER: "the sending service (ESP), such as SendGrid",
    By.POOL: "the sender pool by which it went",
    By.DOMAIN: "our sender domain",
    By.MAILBOX: "who receives, such as Gmail",
    By.DAY: "when the mail left",
}
PROVIDER_HEADS = ("Mailbox provider", "Accepted", "Delivered", "against 98 %", "Last 7 days", "Bounced", "Complained")
_AGAINST = {
    Verdict.GOOD: "above",
    Verdict.UNSURE: "below, but of too few to be sure",
    Verdict.WARN: "below",
    Verdict.BAD: "far below",
    Verdict.NONE: kpi_words.NOT_ENOUGH,
}


def spans(found: Mapping[str, Measured]) -> list[tuple[str, ...]]:
    """A row a figure, a column a span; the first row has the mails that were accepted."""
    some = found.values()
    rows = [("Mails accepted", *(f"{one.figures.accepted:,}" for one in some))]
    rows += [(kpi.label, *(kpi_words.rate(kpi, kpi.of(one.figures)) for one in some)) for kpi in kpis.RATES]
    rows.append((kpis.TIME_TO_INBOX.label, *(kpi_words.to_inbox(one) for one in some)))
    rows.append((kpis.BOUNCE_HANDLING.label, *(kpi_words.handling(one) for one in some)))
    rows.append((kpis.HAND_OVER.label, *(kpi_words.hand_over(one) for one in some)))
    return rows


def providers(
    whole: Mapping[str, Measured], week: Mapping[str, Measured], before: Mapping[str, Measured]
) -> list[tuple[str, ...]]:
    """A row a mailbox provider, in the order of `whole`: PROVIDER_HEADS. The trend is that of the last seven days."""
    rows: list[tuple[str, ...]] = []
    for group, one in whole.items():
        delivered = kpis.DELIVERABILITY.of(one.figures)
        now, then = (kpis.DELIVERABILITY.of(some.get(group, Measured()).figures) for some in (week, before))
        rows.append(
            (
                mailbox_groups.shown(group),
                f"{one.figures.accepted:,}",
                kpi_words.rate(kpis.DELIVERABILITY, delivered),
                _AGAINST[kpis.DELIVERABILITY.verdict(delivered)],
                f"{kpi_words.rate(kpis.DELIVERABILITY, now)}: {kpi_words.trend(kpis.DELIVERABILITY, now, then)}"
                if now.whole
                else "no mail",
                kpi_words.rate(kpis.BOUNCE_RATE, kpis.BOUNCE_RATE.of(one.figures)),
                kpi_words.rate(kpis.COMPLAINT_RATE, kpis.COMPLAINT_RATE.of(one.figures)),
            )
        )
    return rows
