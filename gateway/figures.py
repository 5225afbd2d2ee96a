"""Key figures of a run, and how numbers are written for people."""

from datetime import UTC, datetime

from domain import kpi_advice
from domain.kpis import BOUNCE_RATE, COMPLAINT_RATE, DELIVERABILITY, Figures, Kpi
from domain.rates import Verdict
from domain.reports import percent

_HOUR, _MINUTE = 3600, 60


def cards(total: Figures) -> list[dict[str, str]]:
    """The key figures of a run: value, what it counts, its formula, and whether it is as it should be."""
    return [*_reach(total), *_trouble(total)]


def _reach(total: Figures) -> list[dict[str, str]]:
    return [
        _card(
            "Delivered",
            delivered(total),
            f"{count(total.delivered)} mails" if tells(total) else "no delivery was told of yet; plain relays never do",
            "Mails delivered and not bounced later ÷ mails accepted by the sending service. "
            "Delivered is not the same as in the inbox: nobody can see that.",
            tone=_delivered_tone(total),
        ),
        _card(
            "Opened by humans",
            percent(total.human_open_rate),
            f"{count(total.opened_human)} people; with machine opens {count(total.opened_unique)}",
            "People who opened ÷ mails delivered. Opens by machines, such as Apple's prefetching, are left out.",
        ),
        _card(
            "Clicked",
            percent(total.human_click_rate),
            f"{count(total.clicked_human)} people; with machine clicks {count(total.clicked_unique)}",
            "People who clicked a link at least once ÷ mails delivered. Clicks by security scanners are left out.",
        ),
    ]


def _trouble(total: Figures) -> list[dict[str, str]]:
    bounced = sum(total.bounced.values())
    return [
        _card(
            "Bounced",
            percent(total.bounce_rate),
            f"{count(bounced)} mails",
            "Mails that came back, at once or later ÷ mails accepted by the sending service.",
            tone=_tone(BOUNCE_RATE, total.bounce_rate),
        ),
        _card(
            "Complained",
            percent(total.complaint_rate, digits=2),
            f"{count(total.complained)} people",
            "People who reported the mail as spam ÷ mails delivered. Gmail asks for less than 0.1 %, never 0.3 %.",
            tone=_tone(COMPLAINT_RATE, total.complaint_rate),
        ),
        _card(
            "Unsubscribed",
            percent(total.unsubscribe_rate),
            f"{count(total.unsubscribed)} people",
            "People who unsubscribed by this mail ÷ mails delivered.",
        ),
    ]


def tells(total: Figures) -> bool:
    """Whether a count of deliveries means anything: a plain SMTP relay tells of bounces, and never of a delivery."""
    return bool(total.delivered) or not total.on_its_way


def delivered(total: Figures) -> str:
    """The share that was delivered; a dash while nothing was told."""
    return percent(total.deliverability if tells(total) else None)


def _card(name: str, value: str, note: str, formula: str, *, tone: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "note": note, "formula": formula, "tone": tone}


def _delivered_tone(total: Figures) -> str:
    """No alarm over what has no answer yet: minutes after the hand-over that is most of it. Nor over a handful of mails."""
    tone = _tone(DELIVERABILITY, total.deliverability if tells(total) else None)
    sure = kpi_advice.verdict(DELIVERABILITY, total) in {Verdict.GOOD, Verdict.WARN, Verdict.BAD}
    return tone if sure or tone == "good" else ""


def _tone(kpi: Kpi, rate: float | None) -> str:
    if rate is None or kpi.lines is None:
        return ""
    good, poor = kpi.lines.good, kpi.lines.bad
    if kpi.lines.high_is_good:
        shown = round(rate, 3)  # as it is written: a reader who sees 98.0 % shall not see a warning
        return "good" if shown >= good else "warn" if shown >= poor else "bad"
    return "good" if rate < good else "warn" if rate < poor else "bad"


def count(number: int | None) -> str:
    """A count with thousands set apart; a dash where nothing was counted yet."""
    return "–" if number is None else f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole, in percent."""
    return percent(part / whole if whole else None)


def moment(at: datetime) -> str:
    """An instant for people, in UTC and saying so."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def duration(seconds: float | None) -> str | None:
    """A length of time in its largest fitting unit."""
    if seconds is None:
        return None
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    if whole < _HOUR:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTE} h {minutes % _MINUTE} min"
