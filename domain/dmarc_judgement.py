"""DMARC judged: one record that can be read, its policy and reports, and whether our mail will pass it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.dkim_judgement import dkim_passes
from domain.dns_answers import Answer, DnsRecord, Malformed, quoted, tags
from domain.preflight import Light, Line
from domain.sender_domain import DomainRequest, Evidence, organisation
from domain.spf_judgement import spf_passes

POLICIES = ("none", "quarantine", "reject")
RULE = "Gmail (answer/81126), Yahoo (best practices), Microsoft (4399730) and Apple (102322) require a DMARC record"
_ALIGNED = "Yahoo: DMARC must pass; Gmail and Microsoft: From aligns with SPF or DKIM, Microsoft: preferably both"
_REPORT_AREA = "dmarc-reports"
_REPORTS = "Yahoo (best practices) recommends rua strongly; RFC 9990, 4, for reports to another domain"
PLACEHOLDER = "rua=mailto:<a mailbox of yours that takes the reports>"


@dataclass(frozen=True, slots=True)
class Policy:
    """The record in force. `at`: the name whose record it is, as `_dmarc.shop.com`; strict alignment by `adkim`, `aspf`."""

    at: str
    text: str
    values: dict[str, str] = field(default_factory=dict)

    def strict(self, tag: str) -> bool:
        return self.values.get(tag, "r").strip().lower() == "s"


@dataclass(frozen=True, slots=True)
class Discovery:
    """The record in force, or the line that says why there is none."""

    policy: Policy | None
    line: Line | None


def dmarc_texts(values: tuple[str, ...]) -> list[str]:
    """The DMARC records among the TXT records of a name: those that begin with v=DMARC1 (RFC 9989, 4.8)."""
    return [value for value in values if _begins(value)]


def _begins(value: str) -> bool:
    name, _, rest = value.partition("=")
    version = rest.partition(";")[0]
    return name.strip().lower() == "v" and version.strip() == "DMARC1"


def discovered(evidence: Evidence) -> Discovery:
    """The record of From's domain, else the organisation's, as RFC 7489, 6.6.3; the names between, as RFC 9989, last.

    An unclear answer ends the search: what it hides could be the record in force.
    """
    own, *above = evidence.dmarc
    order = [own, *above[-1:], *reversed(above[:-1])]
    for answer in order:
        if answer.unclear:
            return Discovery(None, _line(evidence, Light.GREY, f"cannot tell: {answer.trouble} at {answer.name}"))
        found = dmarc_texts(answer.values)
        if len(found) > 1:
            words = f"{len(found)} DMARC records at {answer.name}: receivers act as if there was none"
            return Discovery(None, _line(evidence, Light.RED, words, _first_record(evidence), "RFC 9989, 4.10"))
        if found:
            return _read(evidence, answer.name, found[0])
        near = [value for value in answer.values if "dmarc" in value[:12].lower()]
        if near:
            words = f"“{quoted(near[0])}” at {answer.name} is no DMARC record: it has to begin with v=DMARC1;"
            return Discovery(None, _line(evidence, Light.RED, words, _first_record(evidence)))
    return Discovery(None, _line(evidence, Light.RED, f"no DMARC record: {_asked(order)}", _first_record(evidence)))


def _asked(order: list[Answer]) -> str:
    return (
        ", ".join(f"{one.standing.value} at {one.name}" for one in order if not one.values) or "other TXT records only"
    )


def _read(evidence: Evidence, at: str, text: str) -> Discovery:
    try:
        values = tags(text)
    except Malformed as error:
        words = f"the DMARC record at {at} cannot be read: {error}"
        return Discovery(None, _line(evidence, Light.RED, words, _first_record(evidence)))
    policy = values.get("p", "").lower()
    if policy not in POLICIES:
        words = (
            f"p={quoted(policy)} is no policy"
            if "p" in values
            else "the record has no p=, which some receivers take for none and others for no record"
        )
        words += f": it has to be one of {', '.join(POLICIES)}, in “{quoted(text)}”"
        return Discovery(None, _line(evidence, Light.RED, words, _mended(at, values)))
    return Discovery(Policy(at, text, values), None)


def dmarc_lines(evidence: Evidence) -> list[Line]:
    """The record, its reports, and whether mail passes."""
    found = discovered(evidence)
    lines = [found.line] if found.line else []
    if found.policy:
        lines += [_record_line(evidence, found.policy), *_tag_faults(found.policy), *_reports(evidence, found.policy)]
    return [*lines, *_passing(evidence, found)]


def _record_line(evidence: Evidence, policy: Policy) -> Line:
    for_subdomains = policy.values.get("sp", policy.values["p"]).lower()
    own = policy.at == f"_dmarc.{evidence.request.domain}"
    in_force = policy.values["p"].lower() if own else for_subdomains
    note = "" if in_force != "none" else ", which is enough for bulk senders and protects from nobody's forgery"
    light = Light.GREEN
    if not own and policy.at != f"_dmarc.{organisation(evidence.request.domain)}":
        light, note = Light.YELLOW, ", found on the way up: receivers by RFC 7489 look at both ends only"
    words = f"policy {quoted(in_force)} by the record at {policy.at}{note}"
    return _line(evidence, light, words)


def _tag_faults(policy: Policy) -> Iterator[Line]:
    allowed = {"sp": POLICIES, "adkim": ("r", "s"), "aspf": ("r", "s"), "np": POLICIES, "t": ("y", "n")}
    wrong = [tag for tag, these in allowed.items() if policy.values.get(tag, these[0]).lower() not in these]
    share = policy.values.get("pct", "100")
    if not (share.isascii() and share.isdigit() and int(share[:4]) <= 100):  # noqa: PLR2004 - per cent
        wrong.append("pct")
    if wrong:
        words = f"{', '.join(wrong)} has a value that receivers pass over, in “{quoted(policy.text)}”"
        yield Line("dmarc", policy.at, Light.YELLOW, words, _mended(policy.at, policy.values, without=wrong), RULE)


def report_domains(policy: Policy) -> list[str]:
    """The domains that shall receive aggregate reports."""
    uris = [uri.strip() for uri in policy.values.get("rua", "").split(",") if uri.strip()]
    mailboxes = [uri.partition(":")[2].partition("!")[0] for uri in uris if uri.lower().startswith("mailto:")]
    return [address.rpartition("@")[2].rstrip(".").lower() for address in mailboxes if "@" in address]


def _reports(evidence: Evidence, policy: Policy) -> Iterator[Line]:
    domains = report_domains(policy)
    if not domains:
        words = "no mailbox receives reports (rua), so that nobody sees what fails"
        added = {**policy.values, "rua": PLACEHOLDER.partition("=")[2]}
        yield Line(_REPORT_AREA, policy.at, Light.YELLOW, words, _mended(policy.at, added), _REPORTS)
    for domain, consent in evidence.report_consents.items():
        if consent.unclear:
            words = f"cannot tell whether {quoted(domain)} takes reports: {consent.trouble}"
            yield Line(_REPORT_AREA, policy.at, Light.GREY, words, "", _REPORTS)
        elif not dmarc_texts(consent.values):
            words = f"reports go to {quoted(domain)}, which does not say that it takes them: none will be sent"
            yield Line(
                _REPORT_AREA, policy.at, Light.YELLOW, words, str(DnsRecord(consent.name, "TXT", "v=DMARC1")), _REPORTS
            )


def _passing(evidence: Evidence, found: Discovery) -> Iterator[Line]:
    """Whether mail passes DMARC: by SPF or DKIM that passes and aligns with From."""
    request = evidence.request
    spf, dkim = spf_passes(evidence), dkim_passes(evidence)
    ways = {
        f"SPF of {request.return_path}": (False if request.esp_return_path else spf, request.return_path, "aspf"),
        f"DKIM of {request.dkim_domain}": (dkim, request.dkim_domain, "adkim"),
    }
    judged = {
        way: _both(passes, _aligns(request.domain, name, found, tag)) for way, (passes, name, tag) in ways.items()
    }
    passing = [way for way, verdict in judged.items() if verdict]
    if passing:
        words = f"From aligns by {' and '.join(passing)}"
        yield Line("dmarc", request.domain, Light.GREEN, words, "", _ALIGNED)
    elif None in judged.values():
        words = "cannot tell whether mail will pass: what is not known of SPF or DKIM decides"
        yield Line("dmarc", request.domain, Light.GREY, words, "", _ALIGNED)
    else:
        yield Line("dmarc", request.domain, Light.RED, _fails(evidence, found), _remedy(request, found), _ALIGNED)


def _remedy(request: DomainRequest, found: Discovery) -> str:
    """DKIM where its name aligns or can, as forwarding does not break it: what its own lines say, or another name."""
    if _aligns(request.domain, request.dkim_domain, found, "adkim") is False:
        return f"have mail signed with d={request.domain}"
    spf = not request.esp_return_path and _aligns(request.domain, request.return_path, found, "aspf") is not False
    return "mend SPF or DKIM as their own lines say: one is enough" if spf else "mend DKIM as its own line says"


def _fails(evidence: Evidence, found: Discovery) -> str:
    request = evidence.request
    strict = found.policy is not None and (found.policy.strict("aspf") or found.policy.strict("adkim"))
    words = f"mail From {request.domain} cannot be relied upon to pass DMARC: neither SPF of {request.return_path} nor "
    words += f"DKIM of {request.dkim_domain} passes and aligns"
    return f"{words}; the record asks for the very same name (aspf=s or adkim=s)" if strict else words


def _both(passes: bool | None, aligns: bool | None) -> bool | None:
    if passes is False or aligns is False:
        return False
    return True if passes and aligns else None


def _aligns(sender: str, name: str, found: Discovery, tag: str) -> bool | None:
    """Whether a name aligns with From. None: it does if relaxed, and nobody can tell whether it is."""
    if name == sender:
        return True
    if organisation(name) != organisation(sender):
        return False
    if found.policy is not None:
        return not found.policy.strict(tag)
    return None if found.line and found.line.light is Light.GREY else True


def _first_record(evidence: Evidence) -> str:
    return str(DnsRecord(f"_dmarc.{evidence.request.domain}", "TXT", f"v=DMARC1; p=none; {PLACEHOLDER}"))


def _mended(at: str, values: dict[str, str], without: list[str] | tuple[str, ...] = ()) -> str:
    """The record as it is, with what is wrong left out and the mailboxes left to the person: none is shown."""
    kept = {tag: value for tag, value in values.items() if tag not in (*without, "v")}
    kept["p"] = kept["p"] if kept.get("p", "").lower() in POLICIES else "none"
    for tag in {"rua", "ruf"} & kept.keys():
        kept[tag] = kept[tag] if "<" in kept[tag] else "<as it is>"
    policy = kept.pop("p")
    rest = "; ".join(f"{tag}={quoted(value)}" for tag, value in kept.items())
    return str(DnsRecord(at, "TXT", f"v=DMARC1; p={policy}" + (f"; {rest}" if rest else "")))


def _line(evidence: Evidence, light: Light, found: str, publish: str = "", source: str = RULE) -> Line:
    return Line("dmarc", evidence.request.domain, light, found, publish, source)
