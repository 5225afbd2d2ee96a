"""DKIM keys judged: each selector resolves, its key can be read, is long enough, not revoked, and the ESP's own."""

from collections.abc import Iterator

from domain.dns_answers import Answer, DnsRecord, Malformed, quoted, tags
from domain.preflight import Light, Line
from domain.sender_domain import DkimKey, DomainRequest, Evidence, Selector

SHORTEST, RECOMMENDED = 1024, 2048  # bits of an RSA key

RULE = "Gmail (answer/81126), Yahoo (best practices) and Microsoft (4399730) require DKIM to pass; RFC 6376"
_LENGTH = "Gmail (answer/81126) and Yahoo: 1024 bits at least, Gmail recommends 2048; RFC 8301"
_KINDS = ("rsa", "ed25519")
_FURTHER = "dkim-further"  # a selector that may have a key; that nobody can tell refuses nothing
_USABLE = (Light.GREEN, Light.YELLOW)
_ROTATION = "RFC 6376, 3.1: with two selectors a key is changed while the other one signs"


def dkim_lines(evidence: Evidence) -> list[Line]:
    """One line a selector, and one for all of them where they alone do not say it."""
    verdicts = [(one, _verdict(one)) for one in evidence.selectors]
    lines = [_line(evidence.request, selector, verdict) for selector, verdict in verdicts]
    if any(one.area == "dkim" and one.light in (Light.RED, Light.GREY) for one in lines):
        return lines  # it is said already
    return [*lines, *_together(evidence, verdicts)]


def _together(evidence: Evidence, verdicts: list[tuple[Selector, tuple[Light, str, str]]]) -> Iterator[Line]:
    """Whether any selector has a key that all can verify, and whether a second one is ready."""
    request = evidence.request
    usable = [one for one, (light, *_) in verdicts if light in _USABLE]
    unclear = any(light is Light.GREY for _, (light, *_) in verdicts)
    if not verdicts and not request.expected:
        words = (
            "no selector is known, so no key was looked for: the s= of DKIM-Signature in any mail of theirs names it"
        )
        yield Line("dkim", request.dkim_domain, Light.GREY, words, "set OMS_PREFLIGHT_DKIM_SELECTORS", RULE)
    elif not any(key.kind == "rsa" for one in usable for key in one.keys):
        words = "no RSA key at any selector that mail may be signed with"
        records = "\n".join(str(one) for one in request.expected if "._domainkey." in one.name)
        if unclear:
            yield Line("dkim", request.dkim_domain, Light.GREY, f"cannot tell whether there is a key: {words} so far")
        else:
            yield Line("dkim", request.dkim_domain, Light.RED, words, records, RULE)
    elif len(usable) == 1 and not unclear:
        words = "one selector only: changing its key leaves mail on its way unsigned"
        yield Line("dkim", request.dkim_domain, Light.YELLOW, words, "", _ROTATION)
    elif not all(one.required for one in usable):
        words = f"keys at {', '.join(one.name for one in usable)}"
        yield Line("dkim", request.dkim_domain, Light.GREEN, words, "", RULE)


def dkim_passes(evidence: Evidence) -> bool | None:
    """Whether a signature of our mail can be verified: each required key, or any where none is. None: cannot tell."""
    lights = {one.light for one in dkim_lines(evidence) if one.area == "dkim"}
    if Light.RED in lights:
        return False
    return None if Light.GREY in lights else True


def _line(request: DomainRequest, selector: Selector, verdict: tuple[Light, str, str]) -> Line:
    name = request.key_name(selector.name)
    light, found, source = verdict
    if not selector.required and light is Light.RED:
        # Another one may sign; where none can, that is a line of its own
        light = Light.YELLOW if selector.answer.values else Light.BLUE
    wanted = request.wanted(name, "CNAME", "TXT")
    publish = wanted or _unknown_record(request, name) if light is Light.RED else None
    if light is Light.YELLOW and wanted is None:
        publish = _unknown_record(request, name)  # a weak key behind the ESP's own record is the ESP's to change
    return Line("dkim" if selector.required else _FURTHER, name, light, found, str(publish or ""), source)


def _unknown_record(request: DomainRequest, name: str) -> DnsRecord:
    """The record as far as we know it: the key itself is known only to who signs."""
    who = request.esp or "the relay that signs"
    return DnsRecord(name, "TXT", f"v=DKIM1; k=rsa; p=<the public key of {who}, 2048 bits>")


def _verdict(selector: Selector) -> tuple[Light, str, str]:
    answer = selector.answer
    if answer.unclear:
        return Light.GREY, f"cannot tell: {answer.trouble}", RULE
    if not answer.values:
        return Light.RED, _absent(answer), RULE
    if len(answer.values) > 1:
        found = f"{len(answer.values)} TXT records: which of them is taken for the key is undefined"
        return Light.RED, found, "RFC 6376, 3.6.2.2"
    text = answer.values[0]
    try:
        found_tags = tags(text)
    except Malformed as error:
        return Light.RED, f"no key record: {error}", RULE
    fault = _flaw(text, found_tags)
    if fault:
        return Light.RED, fault, RULE
    return _key_verdict(selector, found_tags, selector.keys[0] if selector.keys else DkimKey(problem="it was not read"))


def _absent(answer: Answer) -> str:
    if answer.via:
        return f"no key: a CNAME leads to {quoted(answer.via[-1])}, where there is {answer.standing.value}"
    return f"no key: {answer.standing.value}"


def _flaw(text: str, found: dict[str, str]) -> str:
    """What makes the record no key for mail, before the key itself is looked at (RFC 6376, 3.6.1); empty: nothing."""
    uses, hashes = _items(found.get("s", "*")), _items(found.get("h", "sha256"))
    flaws = {
        f"no key record: “{quoted(text)}” has no p=": "p" not in found,
        "no key record: v= is not DKIM1 at the beginning": "v" in found and next(iter(found.items())) != ("v", "DKIM1"),
        "the key is revoked: p= is empty": found.get("p") == "",
        f"a kind of key that nobody reads: k={quoted(found.get('k', ''))}": found.get("k", "rsa").lower() not in _KINDS,
        f"the key is for h={quoted(':'.join(hashes))} only: SHA-1 counts as unsigned (RFC 8301)": "sha256"
        not in hashes,
        f"the key is not for mail: s={quoted(':'.join(uses))}": not {"*", "email"} & set(uses),
    }
    return next((words for words, holds in flaws.items() if holds), "")


def _items(value: str) -> list[str]:
    return [item.strip().lower() for item in value.split(":")]


def _key_verdict(selector: Selector, found: dict[str, str], key: DkimKey) -> tuple[Light, str, str]:
    if key.problem:
        return Light.RED, f"the key cannot be read: {quoted(key.problem)}", RULE
    if key.kind == "rsa" and key.bits < SHORTEST:
        return Light.RED, f"the RSA key has {key.bits} bits: below {SHORTEST} a signature counts for nothing", _LENGTH
    if selector.at_esp is not None:
        light, why = _against_esp(found, selector.at_esp)
        if why:
            return light, why, RULE
    return _good_key(found, key)


def _good_key(found: dict[str, str], key: DkimKey) -> tuple[Light, str, str]:
    """A key that verifies: what is to be said against it all the same."""
    if "y" in _items(found.get("t", "")):
        return Light.YELLOW, "the key is marked as a test (t=y): a receiver may take the mail for unsigned", RULE
    if key.kind == "ed25519":
        words = "an Ed25519 key: several mailbox providers verify RSA only, so that an RSA key is needed beside it"
        return Light.YELLOW, words, "RFC 8463"
    if key.bits < RECOMMENDED:
        return Light.YELLOW, f"the RSA key has {key.bits} bits: enough, {RECOMMENDED} are recommended", _LENGTH
    return Light.GREEN, f"an RSA key of {key.bits} bits", RULE


def _against_esp(found: dict[str, str], at_esp: Answer) -> tuple[Light, str]:
    """Whether the key is the one that the ESP signs with now: compared with what stands where its CNAME shall point."""
    if at_esp.unclear:
        return Light.GREY, f"cannot tell whether this is the ESP's key: {at_esp.trouble}"
    try:
        theirs = {_packed(tags(value).get("p", "")) for value in at_esp.values}
    except Malformed:
        theirs = set()
    if not theirs:
        words = f"the ESP's own record at {quoted(at_esp.name)} holds no key: authenticate the domain anew there"
        return Light.RED, words
    if _packed(found["p"]) not in theirs:
        return Light.RED, f"another key than the ESP signs with, which is at {quoted(at_esp.name)}"
    return Light.GREEN, ""


def _packed(key: str) -> str:
    return "".join(key.split())
