"""Whether replies reach the sender, whether our relay's names lead there and back, and who of an audience can be reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from domain.dns_answers import DnsRecord, quoted
from domain.preflight import Light, Line
from domain.sender_domain import Evidence, MailHosts, ReverseName

NULL_MX = "."  # RFC 7505: the domain says that it receives no mail
_REPLIES = "Microsoft (4399730): the address of From or Reply-To has to receive replies; RFC 7505"
_REVERSE = (
    "Gmail (answer/81126): a PTR record that leads to a name which leads back; Yahoo and Microsoft: valid reverse DNS"
)
_NOWHERE = (
    "RFC 7505 and RFC 5321, 5.1: mail to such a domain bounces at once; Yahoo: remove invalid recipients promptly"
)
_FEWEST = 5  # recipients of a domain that is named in a line: a family's own domain is as good as an address
_NAMED = 5  # domains


def receives(hosts: MailHosts) -> bool | None:
    """Whether a domain receives mail; None: cannot tell."""
    if hosts.mx.unclear:
        return None
    if hosts.mx.values and all(value.split()[-1] == NULL_MX for value in hosts.mx.values):
        return False
    if any(answer.values for answer in hosts.addresses):
        return True
    return None if any(answer.unclear for answer in hosts.addresses) else False


def reply_lines(evidence: Evidence) -> list[Line]:
    """The domains of From and Reply-To receive mail."""
    return [_reply_line(hosts) for hosts in evidence.receives]


def _reply_line(hosts: MailHosts) -> Line:
    domain, mx = hosts.domain, hosts.mx
    publish = str(DnsRecord(domain, "MX", "10 <the host that takes your mail>"))
    verdict = receives(hosts)
    if verdict is None:
        trouble = next(one.trouble for one in (mx, *hosts.addresses) if one.unclear)
        return Line("mx", domain, Light.GREY, f"cannot tell: {trouble}", source=_REPLIES)
    if verdict:
        if mx.values:
            return Line("mx", domain, Light.GREEN, "receives replies", source=_REPLIES)
        found = "receives replies by its address alone: without MX some receivers doubt a sender"
        return Line("mx", domain, Light.YELLOW, found, publish, _REPLIES)
    if mx.values and all(value.split()[-1] == NULL_MX for value in mx.values):
        found = "says that it receives no mail (null MX): replies are refused, and receivers refuse such a From"
    elif mx.values:
        found = "none of the hosts of its MX has an address: replies bounce"
    else:
        found = f"{mx.standing.value}: neither MX nor an address, so that replies bounce"
    return Line("mx", domain, Light.RED, found, publish, _REPLIES)


def reverse_lines(evidence: Evidence) -> list[Line]:
    """PTR and back, for each of our own relay's addresses."""
    return [_reverse_line(one, evidence.request.domain) for one in evidence.reverse]


def _reverse_line(reverse: ReverseName, domain: str) -> Line:
    names, address = reverse.names, reverse.address
    if names.unclear:
        return Line("ptr", address, Light.GREY, f"cannot tell: {names.trouble}", source=_REVERSE)
    if not names.values:
        record = DnsRecord(names.name, "PTR", f"<the relay's name, such as mail.{domain}>")
        found = "no PTR record: who rents out the address sets it"
        return Line("ptr", address, Light.RED, found, str(record), _REVERSE)
    for answer in reverse.forward:
        if any(_same_address(value, address) for value in answer.values):
            found = f"leads to {quoted(answer.name)} and back"
            return Line("ptr", address, Light.GREEN, found, source=_REVERSE)
    trouble = next((one.trouble for one in reverse.forward if one.unclear), "")
    if trouble:
        return Line("ptr", address, Light.GREY, f"cannot tell whether the name leads back: {trouble}", source=_REVERSE)
    name = quoted(names.values[0]).rstrip(".")
    kind = "AAAA" if ":" in address else "A"
    found = f"leads to {name}, which does not lead back"
    return Line("ptr", address, Light.RED, found, str(DnsRecord(name, kind, address)), _REVERSE)


def _same_address(text: str, address: str) -> bool:
    try:
        return ip_address(text) == ip_address(address)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class AudienceDomains:
    """How many recipients are at domains that receive mail, that receive none (by domain), and of which nobody can tell."""

    reachable: int
    nowhere: Mapping[str, int]
    unclear: int


def audience_of(counts: Mapping[str, int], verdicts: Mapping[str, bool | None]) -> AudienceDomains:
    """Recipients by what the DNS says of their domain; one that was not asked counts as unclear."""
    nowhere = {domain: count for domain, count in counts.items() if verdicts.get(domain) is False}
    unclear = sum(count for domain, count in counts.items() if verdicts.get(domain) is None)
    return AudienceDomains(sum(counts.values()) - sum(nowhere.values()) - unclear, nowhere, unclear)


def audience_lines(audience: AudienceDomains) -> list[Line]:
    """Who cannot be reached, as a warning: such mail bounces, and the bounces are counted against the sender."""
    lost = sum(audience.nowhere.values())
    total = audience.reachable + audience.unclear + lost
    lines = []
    if lost:
        biggest = sorted(audience.nowhere.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
        named = ", ".join(f"{quoted(domain)} {count:,}" for domain, count in biggest if count >= _FEWEST)
        found = f"{lost:,} of {total:,} recipients ({lost / total:.2%}) are at domains that receive no mail"
        lines.append(
            Line("audience", "recipients", Light.YELLOW, f"{found}: {named}" if named else found, "", _NOWHERE)
        )
    if audience.unclear:
        found = f"cannot tell for {audience.unclear:,} of {total:,} recipients: their domains were not asked or gave no answer"
        lines.append(Line("audience", "recipients", Light.GREY, found, "", _NOWHERE))
    return lines or [
        Line("audience", "recipients", Light.GREEN, f"all {total:,} are at domains that receive mail", "", _NOWHERE)
    ]
