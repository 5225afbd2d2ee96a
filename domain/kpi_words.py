"""Key figures in words and short texts, the same on pages, in artifacts and in commands."""

from collections.abc import Mapping

from domain import mailbox_groups
from domain.kpi_anomalies import MAILBOX, Anomaly
from domain.kpis import ALL, BOUNCE_HANDLING, DURATIONS, RATES, Kpi, Measured
from domain.rates import Rate, Verdict

NOT_ENOUGH = "not enough data"
NO_TREND = "no trend yet"
_MINUTE, _HOUR = 60, 3600
_SIGN = {Verdict.WARN: " ⚠", Verdict.BAD: " ✗", Verdict.UNSURE: " ?", Verdict.GOOD: "", Verdict.NONE: ""}
LEGEND = "⚠ past the line, ✗ far past it, ? past it, but of too few to be sure; in brackets where the true rate lies."


_INTRODUCTION = f"""\
# Key figures

Written by `domain/kpi_words.py` out of `domain/kpis.py`, where each figure is defined once; a test keeps this page equal.
`campaigns kpis explain NAME` shows one definition. Where to see the figures:

- the page `/kpis` of the gateway: today, 7 and 28 days, each mailbox provider against the 98 % line, a plot by day. It
  shows what was stored, a minute ago at most while `process-delivery-events` runs;
- in Prefect under *Artifacts*, renewed each hour: **`key-figures-ACCOUNT`** has the tables of that page and whatever is out
  of the ordinary, of all mail of one account by the day on which it left; **`kpis`** has one line a run of the last 30 days,
  of all accounts, each over its whole life. So the two do not add up to each other;
- `campaigns kpis --by WHAT`, several of them for every combination, where WHAT is {{by}};
- `campaigns kpis --by day --by mailbox --csv`: every count and rate, for a spreadsheet; `--json` for programs;
- the page `/deliverability`: each mailbox provider, each sender domain or each pair of them over 7 days to a year, against
  the lines, with what is wrong and what to do. Mail without an answer raises no alarm for three days;
- a run's own page and `campaigns report RUN`: reckoned as of that moment. While events come in, the counters on the page
  renew themselves every five seconds (no script: a frame that is loaded again, and *Hold still* stops it), with the time of
  the last event and how many webhooks wait to be read. Of a large run whatever more than 25 batches brought since the last
  minute is counted in the next, and the page says so;
- in Prefect on the run's page under *Artifacts*: **`live-RUN`**, the same counters, changed in place each minute in which
  they changed.

A figure that jumps against the own four weeks of the same mailbox provider, or of the same sender domain (the Wilson
intervals lie apart, it is half as bad again or more, and at least five mails), raises the Prefect event
`campaigns.kpi.anomaly`, each hour for as long as it lasts: bounces, complaints and unsubscribes of today's mail,
deliverability of yesterday's, which had time to arrive. Its resource is `campaigns.account.ACCOUNT`, and its payload has
account, by (`mailbox` or `domain`), group, kpi, day, value, of, value_before and of_before. The deployment *heed-anomaly*
is started by it, tells what jumped and, where you want that, pauses what is being sent: see
[When a key figure jumps](operations.md#when-a-key-figure-jumps).

A day's figures are those of the mail that left on that day (on the account's calendar), whenever the answers came: a
late bounce changes an earlier day. Each mail counts once, however often an event came. Where fewer than 1,000 were
counted, the interval in which the true rate lies (Wilson, 95 %) is shown with the rate, and a warning is only given
where the whole interval is past the line, and of five mails at least. Nothing divided by nothing is "{NOT_ENOUGH}", never 0 %.

Which opens and clicks a person made is decided by rules with a version (`domain/machine_activity.py`). What they need is
kept, so that `campaigns kpis recompute --rules N` judges all of history anew; every figure says by which rules it was
counted. No network address is kept, and of the user agent only names and major versions.

Figures are kept by batch. Each minute *process-delivery-events*, and each hour *report-kpis*, reckons anew only what
changed; figures by day, campaign or mailbox provider are sums over those, never a count over events."""


def rate(kpi: Kpi, found: Rate) -> str:
    """A rate in per cent, with its interval where the sample is small, and a sign where it is past its line."""
    if found.value is None:
        return NOT_ENOUGH
    return plain_rate(kpi, found) + _SIGN[kpi.verdict(found)]


def plain_rate(kpi: Kpi, found: Rate) -> str:
    """The same without a sign."""
    if found.value is None:
        return NOT_ENOUGH
    text = f"{100 * found.value:.{kpi.digits}f} %"
    if not found.small:
        return text
    low, high = found.interval
    return f"{text} ({100 * low:.{kpi.digits}f}–{100 * high:.{kpi.digits}f})"


def sign(verdict: Verdict) -> str:
    """What is set behind a figure for how it stands to its line; LEGEND says what each means."""
    return _SIGN[verdict]


def duration(seconds: float | None) -> str:
    """A length of time in its largest fitting unit."""
    if seconds is None:
        return NOT_ENOUGH
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 else f"{whole} s"  # noqa: PLR2004 - one more digit
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def to_inbox(found: Measured) -> str:
    """Median and 95th percentile of the time to the inbox."""
    if not found.to_inbox.total:
        return NOT_ENOUGH
    return f"{duration(found.to_inbox.quantile(0.5))}, 95 % within {duration(found.to_inbox.quantile(0.95))}"


def handling(found: Measured) -> str:
    """How long bounces took to become suppressions, and how that stands to the floor of two hours."""
    longest = found.handling.longest
    if longest is None:
        return "no bounce that suppresses"
    assert BOUNCE_HANDLING.lines is not None
    floor = BOUNCE_HANDLING.lines.bad
    stands = f"{duration(floor - longest)} below" if longest <= floor else f"{duration(longest - floor)} ABOVE"
    return (
        f"median {duration(found.handling.quantile(0.5))}, 95 % within {duration(found.handling.quantile(0.95))},"
        f" longest {duration(longest)}: {stands} the floor of {duration(floor)}"
    )


def hand_over(found: Measured) -> str:
    """How long the mail took to be handed over, and how fast that was."""
    if not found.handed_over:
        return NOT_ENOUGH
    speed = f", {found.per_second:,.0f} a second" if found.per_second is not None else ""
    return f"{duration(found.hand_over_seconds)} for {found.handed_over:,} mails{speed}"


def trend(kpi: Kpi, now: Rate, before: Rate) -> str:
    """How a rate moved: a word only where the two intervals lie apart, so that chance is no trend."""
    if now.value is None or before.value is None:
        return NO_TREND
    (low, high), (low_before, high_before) = now.interval, before.interval
    if low <= high_before and low_before <= high:
        return "as before"
    higher = now.value > before.value
    if kpi.lines is None:
        return "higher" if higher else "lower"
    return "better" if higher == kpi.lines.high_is_good else "worse"


def anomaly(one: Anomaly, name: str | None = None) -> str:
    """A jump in a sentence. `name`: what people call the group, where it is no mailbox group."""
    shown = name or (mailbox_groups.shown(one.group) if one.by == MAILBOX else one.group)
    return f"{shown}, mail of {one.day:%d %b}: {one.kpi.label} {rate(one.kpi, one.now)} of {one.now.whole:,}; in the weeks before {rate(one.kpi, one.before)} of {one.before.whole:,}"


def explanation(kpi: Kpi) -> list[tuple[str, str]]:
    """A figure's definition: what each part is called, and the part."""
    parts = [("figure", kpi.label), ("what it tells", kpi.meaning), ("counts", kpi.over)]
    parts += [("divided by", kpi.under)] if kpi.under else []
    parts += [("unit", kpi.unit)]
    if kpi.lines is not None:
        parts.append(("lines", f"good {_bound(kpi, good=True)}, bad {_bound(kpi, good=False)} ({kpi.lines.source})"))
    return [*parts, ("comes from", kpi.source)]


def _bound(kpi: Kpi, *, good: bool) -> str:
    assert kpi.lines is not None
    value = kpi.lines.good if good else kpi.lines.bad
    written = f"{100 * value:g} %" if kpi in RATES else duration(value)
    return f"{'from' if good is kpi.lines.high_is_good else 'below'} {written}"


def page(by: Mapping[str, str]) -> str:
    """docs/kpis.md. `by`: what figures can be told apart by, and what each of these is."""
    parts = [_INTRODUCTION.replace("{by}", ", ".join(f"`{one}` ({meaning})" for one, meaning in by.items()))]
    for kpi in ALL.values():
        lines = "\n".join(f"- **{name}**: {text}" for name, text in explanation(kpi)[1:])
        parts.append(f"## {kpi.label}\n\n`{kpi.name}`\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def facts(found: Measured) -> dict[str, object]:
    """All of it for programs."""
    rates = {kpi.name: _rate_facts(kpi, kpi.of(found.figures)) for kpi in RATES}
    inbox, bounces = found.to_inbox, found.handling
    return {
        "counts": found.figures.counts(),
        "rates": rates,
        DURATIONS[0].name: {"median": inbox.quantile(0.5), "p95": inbox.quantile(0.95), "messages": inbox.total},
        DURATIONS[1].name: {
            "median": bounces.quantile(0.5),
            "p95": bounces.quantile(0.95),
            "longest": bounces.longest,
            "messages": bounces.total,
        },
        DURATIONS[2].name: {"seconds": found.hand_over_seconds, "per_second": found.per_second},
        "rules": sorted(found.rules),
    }


def _rate_facts(kpi: Kpi, found: Rate) -> dict[str, object]:
    low, high = found.interval
    return {
        "value": found.value,
        "part": found.part,
        "of": found.whole,
        "low": low,
        "high": high,
        "verdict": kpi.verdict(found).value or None,
    }
