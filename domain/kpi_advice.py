"""Which key figures are past their lines, what that means, and what to do: a sentence each, for whoever reads the pages."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain import mailbox_groups
from domain.delivery import BounceClass, Fault
from domain.kpis import BOUNCE_RATE, COMPLAINT_RATE, DELIVERABILITY, Figures, Kpi
from domain.rates import ALARMS, Rate, Verdict

JUDGED = (DELIVERABILITY, BOUNCE_RATE, COMPLAINT_RATE)
_GONE, _DROPPED, _PUT_OFF = "gone", "dropped", "put off"
# Why mail does not arrive: what is wrong, and what to do. By fault, or by what happened before any mailbox provider.
# Of a fault: of what the refusals are.
_CAUSES: Mapping[str, tuple[str, str]] = {
    _GONE: (
        "of addresses that do not exist or take no mail any more",
        (
            "They are suppressed already. Find out where they came from (campaigns kpis --by segment): an old list, or a form"
            " that asks for no confirmation."
        ),
    ),
    Fault.RECIPIENT: (
        "of mailboxes that take no mail for now: full, out of use, or by their owner's own rules",
        (
            "One such refusal suppresses nobody, several in a row do (docs/after-a-bounce.md). Leave out who opened nothing"
            " for months."
        ),
    ),
    Fault.SENDER: (
        "of us: our reputation, authentication or speed",
        (
            "Send slower there, check SPF, DKIM and DMARC of the domain, and read the refusals in the alarm of"
            " process-delivery-events: they name the reason."
        ),
    ),
    Fault.CONTENT: (
        "of what the mail says or links to",
        "Change the text or the links before anything else goes out.",
    ),
    Fault.PROVIDER: (
        "trouble at the mailbox provider itself",
        "Wait: nothing of ours is to be mended, and soft refusals mend themselves.",
    ),
    Fault.UNKNOWN: (
        "in words that do not say why",
        "Read them (campaigns bounces unknown) and say whose fault they are.",
    ),
    _DROPPED: (
        "the sending service itself dropped them, before any mailbox provider saw them",
        "Compare its suppression lists with ours (campaigns reconcile --whole-lists).",
    ),
    _PUT_OFF: (
        "what is missing was put off, and is still on its way",
        "Send slower there; look again tomorrow, when the sending service has given up or got through.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that is surely past its line."""

    kpi: Kpi
    verdict: Verdict
    wrong: str
    to_do: str


def verdict(kpi: Kpi, figures: Figures, *, may_arrive: int | None = None) -> Verdict:
    """How a figure stands to its lines. Mail without an answer yet may still arrive: no alarm is raised over it alone.

    `may_arrive`: how much of it is young enough for that; None: all.
    """
    found = kpi.verdict(kpi.of(figures))
    hoped = figures.on_its_way if may_arrive is None else may_arrive
    if kpi is not DELIVERABILITY or found is Verdict.GOOD or not hoped:
        return found
    at_best = kpi.verdict(Rate(figures.delivered + hoped, figures.accepted))
    return Verdict.NONE if at_best is Verdict.GOOD else at_best


def findings(figures: Figures, *, may_arrive: int | None = None) -> list[Finding]:
    """What is surely wrong with these figures, the worst first. `may_arrive`: see `verdict`."""
    found = []
    for kpi in JUDGED:
        stands = verdict(kpi, figures, may_arrive=may_arrive)
        if stands in ALARMS:
            hoped = figures.on_its_way if may_arrive is None else may_arrive
            found.append(Finding(kpi, stands, *_told(kpi, figures, hoped)))
    # Of one cause once: refused mail is missing from the delivered, too.
    if {DELIVERABILITY, BOUNCE_RATE} <= {one.kpi for one in found}:
        found = [one for one in found if one.kpi is not BOUNCE_RATE]
    return sorted(found, key=lambda one: one.verdict is not Verdict.BAD)


def _told(kpi: Kpi, figures: Figures, hoped: int) -> tuple[str, str]:
    if kpi is COMPLAINT_RATE:
        return (
            f"{figures.complained:,} people called it spam",
            (
                "Mail only who asked for it and still reads it: leave out who opened nothing for months, send less often, and"
                " make unsubscribing easier than complaining."
            ),
        )
    refused, hope = _refused(figures), {_DROPPED: figures.dropped, _PUT_OFF: figures.on_its_way - hoped}
    parts = refused | hope if kpi is DELIVERABILITY else refused
    cause = max((one for one in parts if parts[one] > 0), key=lambda one: parts[one], default=str(Fault.UNKNOWN))
    wrong, to_do = _CAUSES[cause]
    bounced = sum(figures.bounced.values())
    if cause not in hope:
        most = "most" if 2 * parts.get(cause, bounced) > bounced else f"{parts[cause]:,} of {bounced:,}"
        wrong = f"{most} refusals are {wrong}"
    missing = figures.accepted - figures.delivered - hoped if kpi is DELIVERABILITY else bounced
    return f"{missing:,} of {figures.accepted:,} mails did not get in; {wrong}", to_do


def _refused(figures: Figures) -> dict[str, int]:
    """Refusals by whose fault they are. Of the recipient's the hard ones apart: only those are suppressed already."""
    parts = {str(fault): count for fault, count in figures.faults.items()}
    of_people = parts.get(Fault.RECIPIENT, 0)
    gone = min(of_people, figures.bounced.get(BounceClass.HARD, 0))
    parts |= {_GONE: gone, str(Fault.RECIPIENT): of_people - gone}
    return {cause: count for cause, count in parts.items() if count}


def note(kpi: Kpi, figures: Figures, mailbox_group: str | None = None, *, may_arrive: int | None = None) -> str:
    """What a reader must know besides: mail without an answer, or a figure that somebody does not tell. Mostly empty."""
    if kpi is DELIVERABILITY and figures.on_its_way:
        put_off = f", {figures.deferred:,} of them put off" if figures.deferred else ""
        lost = figures.on_its_way - (figures.on_its_way if may_arrive is None else may_arrive)
        given_up = f"; {lost:,} for more than three days, which will hardly arrive" if lost else ""
        return f"{figures.on_its_way:,} without an answer yet{put_off}{given_up}"
    if kpi is COMPLAINT_RATE and mailbox_group == "gmail":
        return f"{mailbox_groups.shown(mailbox_group)} tells no complaints: see Google's Postmaster Tools"
    return ""
