"""What a test message tells that arrived: lines of the pre-flight."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from domain.preflight import Light, Line
from domain.received_headers import Received

AREA = "headers"
ONE_CLICK = "one-click"
# Password resets and receipts are waited for; ESPs hand over within seconds, greylisting takes five minutes.
SLOW = timedelta(minutes=5)
_GMAIL = "support.google.com/mail/answer/81126"
# RFC 8601, section 2.7: what each word says of a mail that we sent ourselves.
_LIGHTS = {
    "pass": Light.GREEN,
    "bestguesspass": Light.YELLOW,  # Microsoft: there is no record, and it would have passed the usual one
    "temperror": Light.GREY,
    "policy": Light.YELLOW,
    "none": Light.RED,
    "neutral": Light.RED,
    "softfail": Light.RED,
    "fail": Light.RED,
    "hardfail": Light.RED,
    "permerror": Light.RED,
}
_MENDS = {
    "spf": "the SPF record of the envelope sender's domain has to name the servers of the ESP",
    "dkim": "let the ESP sign with a key of the sender's domain: publish the CNAMEs or the TXT record that it asks for",
    "dmarc": "publish a DMARC record, and let SPF's or DKIM's domain be that of the From",
}
_JUNK = ("junk", "spam", "bulk")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A test message in its mailbox. `took`: from the hand-over to the ESP by our clock to arrival by the mailbox's."""

    received: Received
    took: timedelta
    folder: str


def lines(arrival: Arrival, subject: str, *, marketing: bool = True) -> list[Line]:
    """Everything its header tells; `subject` is the provider that carried it."""
    told = [line for method in ("spf", "dkim", "dmarc") for line in _authenticated(arrival.received, method, subject)]
    told += _one_click(arrival.received, subject) if marketing else []
    return [*told, *_way(arrival, subject)]


def _authenticated(received: Received, method: str, subject: str) -> Iterator[Line]:
    by = received.received_by or "the mailbox's provider"
    found = received.of(method)
    name = method.upper()
    if not found:
        yield Line(AREA, subject, Light.GREY, f"{name}: {by} says nothing of it")
        return
    best = found[0]
    whose = f" for {best.domain}" if best.domain else ""
    told = f"{name}: {by} says {best.result}{whose}"
    light = _LIGHTS.get(best.result, Light.GREY)
    if light is Light.GREEN and method != "dmarc" and not best.domain:
        yield Line(AREA, subject, Light.GREY, f"{told}, without saying for whom")
        return
    if light is Light.GREEN and method != "dmarc" and not received.aligned(best.domain):
        # Not red: DMARC passes by the other one, and what DMARC says has a line of its own.
        told = f"{told}, which is not the From's domain {received.from_domain}"
        yield Line(AREA, subject, Light.YELLOW, told, _MENDS[method], _GMAIL)
        return
    yield Line(AREA, subject, light, told, "" if light is Light.GREEN else _MENDS[method], _GMAIL)


def _one_click(received: Received, subject: str) -> list[Line]:
    source = "RFC 8058, section 4; Gmail and Yahoo"
    if not received.one_click:
        told = "the headers for unsubscribing by one click did not arrive, or hold no https link"
        mend = "List-Unsubscribe: <https://…>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
        return [Line(ONE_CLICK, subject, Light.RED, told, mend, source)]
    if not received.signatures:
        return [Line(ONE_CLICK, subject, Light.RED, "the mail carries no DKIM signature", _MENDS["dkim"], source)]
    if not received.one_click_signed:
        told = "no DKIM signature of the sender's domain covers both headers for unsubscribing by one click"
        mend = "h=…:list-unsubscribe:list-unsubscribe-post in the signature: let whoever signs add both"
        return [Line(ONE_CLICK, subject, Light.RED, told, mend, source)]
    return [Line(ONE_CLICK, subject, Light.GREEN, "both headers arrived, inside a DKIM signature", source=source)]


def _way(arrival: Arrival, subject: str) -> Iterator[Line]:
    received = arrival.received
    if received.encrypted is None:
        yield Line(AREA, subject, Light.GREY, "the header does not tell how the mail came in")
    elif received.encrypted:
        version = f" by TLS {received.tls_version}" if received.tls_version else " by TLS"
        yield Line(AREA, subject, Light.GREEN, f"it came in{version} at {received.received_by}")
    else:
        told = f"it came in without TLS at {received.received_by}"
        yield Line(
            AREA, subject, Light.RED, told, "let the relay or ESP send by STARTTLS", f"{_GMAIL}: TLS is required"
        )
    seconds = max(round(arrival.took.total_seconds()), 0)
    light = Light.YELLOW if arrival.took > SLOW else Light.GREEN
    yield Line(AREA, subject, light, f"it arrived within {seconds} s of the hand-over")
    if any(word in arrival.folder.lower() for word in _JUNK):
        told = f"it lies in {arrival.folder}: taken for spam"
        yield Line(AREA, subject, Light.YELLOW, told, "look at content, authentication and reputation of the domain")
    else:
        yield Line(AREA, subject, Light.GREEN, f"it lies in {arrival.folder}")
