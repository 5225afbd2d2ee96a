"""SPF of the domain in the envelope, judged: one record, its syntax and limits, and whether it lets our mail through."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from domain.dns_answers import Answer, DnsRecord, quoted, same_name, within
from domain.preflight import Light, Line
from domain.sender_domain import DomainRequest, Evidence, SpfWalk

MOST_LOOK_UPS, MOST_VOID = 10, 2  # RFC 7208, 4.6.4

RULE = "RFC 7208; Gmail (answer/81126), Yahoo (best practices) and Microsoft (4399730) require SPF to pass"
_LIMIT = "RFC 7208, 4.6.4: ten look-ups, two of them void; more is a permanent error"
_PLAIN = re.compile(r"[!-?A-~]+")  # what a term is made of, but for @: no line shows a mailbox, whoever wrote it there
_HARMLESS_ENDS = ("-all", "~all")
UNKNOWN_SENDER = "include:<SPF-domain-of-your-relay>"  # a record that names nobody has all mail refused


def spf_texts(values: Iterable[str]) -> list[str]:
    """The SPF records among the TXT records of a name (RFC 7208, 4.5)."""
    return [value for value in values if value.lower() == "v=spf1" or value.lower().startswith("v=spf1 ")]


def spf_lines(evidence: Evidence) -> list[Line]:
    """The lines about SPF: what is wrong, each for itself, or one GREEN line."""
    request, answer = evidence.request, evidence.spf
    domain = request.return_path
    if request.esp_return_path:
        return [_line(domain, Light.BLUE, "the envelope has the ESP's own domain: SPF is the ESP's and never aligns")]
    if answer.unclear:
        return [_line(domain, Light.GREY, f"cannot tell: {answer.trouble} on the way to the TXT records")]
    texts = spf_texts(answer.values)
    if len(texts) != 1:
        return [_not_one(request, answer, texts)]
    walk = evidence.walk or SpfWalk("temperror", "it was not evaluated")
    if walk.result == "temperror":
        return [_line(domain, Light.GREY, f"cannot tell: {quoted(walk.problem)}")]
    ours = not answer.via  # what a CNAME leads to is the ESP's to mend
    found = [
        *_faults(request, texts[0], _worst_counts(walk, evidence.relay_walks), ours=ours),
        *_authorises(evidence, texts[0], walk, ours=ours),
    ]
    good = f"“{quoted(texts[0])}” passes, with {walk.look_ups} of {MOST_LOOK_UPS} look-ups"
    return found or [_line(domain, Light.GREEN, good)]


def spf_passes(evidence: Evidence) -> bool | None:
    """Whether SPF will pass for our mail: by the lines; None where nobody can tell, or SPF is the ESP's own."""
    if evidence.request.esp_return_path:
        return None
    lights = {one.light for one in spf_lines(evidence)}
    if Light.RED in lights:
        return False
    return None if Light.GREY in lights else True


def _not_one(request: DomainRequest, answer: Answer, texts: list[str]) -> Line:
    domain, wanted = request.return_path, request.wanted(request.return_path, "CNAME", "TXT")
    publish = str(wanted) if wanted else str(DnsRecord(domain, "TXT", merged(texts, _own_terms(request))))
    if texts:
        found = f"{len(texts)} SPF records: a permanent error at every receiver; one record has to say all"
        return _line(domain, Light.RED, found, publish)
    near = [value for value in answer.values if "spf" in value[:8].lower()]
    found = f"no SPF record: {answer.standing.value}" if not answer.values else "no SPF record among the TXT records"
    if answer.via:
        found += f", where a CNAME leads to {quoted(answer.via[-1])}"
    if near:
        found += f"; “{quoted(near[0])}” is none"
    if UNKNOWN_SENDER in publish:
        found += "; ask who runs the relay what it has to include, or set its addresses: OMS_PREFLIGHT_RELAY_ADDRESSES"
    return _line(domain, Light.RED, found, publish)


def _worst_counts(walk: SpfWalk, relays: Mapping[str, SpfWalk]) -> SpfWalk:
    """The evaluation for nobody, with the most void look-ups of any: an IPv6 sender finds nothing at a host with an A."""
    return replace(walk, void=max(one.void for one in (walk, *relays.values())))


def _faults(request: DomainRequest, text: str, walk: SpfWalk, *, ours: bool) -> Iterator[Line]:
    domain = request.return_path
    mended = str(DnsRecord(domain, "TXT", merged([text], _own_terms(request)))) if ours else ""
    if walk.result == "permerror":
        yield _line(domain, Light.RED, f"a permanent error: {quoted(walk.problem)}: in “{quoted(text)}”")
        return
    if walk.look_ups > MOST_LOOK_UPS:
        found = f"{walk.look_ups} look-ups, of which {MOST_LOOK_UPS} are allowed: drop an include that nobody sends by"
        yield _line(domain, Light.RED, f"{found}: {_includes(walk)}", source=_LIMIT)
    if walk.void > MOST_VOID:
        found = f"{walk.void} look-ups lead to nothing, of which {MOST_VOID} are allowed: drop names that are no more"
        yield _line(domain, Light.RED, f"{found}, in “{quoted(text)}”", source=_LIMIT)
    if walk.result == "pass":
        yield _line(domain, Light.RED, f"“{quoted(text)}” lets anybody in the world send as this domain", mended)
    if walk.result == "neutral":
        found = "the record ends without -all or ~all: who is not named in it is neither allowed nor refused"
        yield _line(domain, Light.YELLOW, found, mended)
    if any(_bare(term).partition(":")[0] == "ptr" for term in text.lower().split()[1:]):
        found = "ptr is slow and should not be used: name the addresses or an include instead"
        yield _line(domain, Light.YELLOW, found, source="RFC 7208, 5.5")


def _authorises(evidence: Evidence, text: str, walk: SpfWalk, *, ours: bool) -> Iterator[Line]:
    """Whether the ESP's or our own relay's mail passes. A permanent error leaves nothing to ask."""
    if walk.result == "permerror":
        return
    request = evidence.request
    mended = str(DnsRecord(request.return_path, "TXT", merged([text], _own_terms(request)))) if ours else ""
    named = {name for name in walk.visited if not same_name(name, request.return_path)} | set(evidence.spf.via)
    for sender in request.spf_senders:
        if not any(within(name, sender) for name in named) or _refused(sender, walk):
            found = f"“{quoted(text)}” does not let {request.esp or sender} send: {sender} is not included"
            yield _line(request.return_path, Light.RED, found, mended)
    for address, judged in evidence.relay_walks.items():
        if judged.result == "temperror":
            found = f"cannot tell whether {address} may send: {quoted(judged.problem)}"
            yield _line(request.return_path, Light.GREY, found)
        elif judged.result != "pass":
            found = f"{address}, from which we send, gets {judged.result}"
            yield _line(request.return_path, Light.RED, found, mended)


def _refused(sender: str, walk: SpfWalk) -> bool:
    """Whether the include is there with a sign that lets nobody through: -include:sendgrid.net."""
    terms = [term for text in walk.visited.values() for term in text.lower().split()]
    named = [term for term in terms if term.lstrip("+-~?") == f"include:{sender}"]
    return bool(named) and all(term[0] in "-~?" for term in named)


def merged(texts: Iterable[str], terms: Iterable[str]) -> str:
    """One record that says what all of them say and lets these terms through as well. Never ends in +all or ?all.

    Where nobody would be named, a gap to be filled in stands for the sender: the record must not shut out our own mail.
    """
    kept: list[str] = []
    ends: set[str] = set()
    # The DNS tells several records in any order; who asks twice is to read the same.
    for term in (one for text in sorted(texts, key=str.lower) for one in text.split()[1:] if _PLAIN.fullmatch(one)):
        low = term.lower()
        if _bare(low) == "all":
            ends |= {low} & set(_HARMLESS_ENDS)
        elif low.startswith("redirect="):
            kept.append(f"include:{term.partition('=')[2]}")  # a redirect is not read where there is an all
        elif low not in map(str.lower, kept):
            kept.append(term)
    kept += [term for term in terms if term.lower() not in map(str.lower, kept)]
    strict = ends == {"-all"}  # of two that disagree the softer one shuts nobody out
    return " ".join(["v=spf1", *(kept or [UNKNOWN_SENDER]), "-all" if strict else "~all"])


def _own_terms(request: DomainRequest) -> list[str]:
    addresses = [f"ip{6 if ':' in address else 4}:{address}" for address in request.relays]
    return [*addresses, *(f"include:{sender}" for sender in request.spf_senders)]


def _bare(term: str) -> str:
    return term.lstrip("+-~?")


def _includes(walk: SpfWalk) -> str:
    names = [quoted(name) for name in list(walk.visited)[1:]]
    return ", ".join(names) if names else "a, mx, ptr and exists count as well"


def _line(subject: str, light: Light, found: str, publish: str = "", source: str = RULE) -> Line:
    return Line("spf", subject, light, found, publish, source)
