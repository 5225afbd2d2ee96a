"""All look-ups about a sending domain, at the same time and within one time-out, and the judgement that follows."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import dns.reversename

from domain.authentication import extra_names, judge
from domain.dmarc_judgement import discovered, report_domains
from domain.dns_answers import Answer, Dns, Standing
from domain.preflight import Line
from domain.reachability import AudienceDomains, audience_of, receives
from domain.sender_domain import (
    DomainRequest,
    Evidence,
    InvalidDomain,
    MailHosts,
    ReverseName,
    Selector,
    SpfWalk,
    ascii_domain,
    organisation,
    upwards,
)
from domain.spf_judgement import spf_texts
from providers.dkim_keys import key_in
from providers.spf_walk import walked

_THREADS = 8  # one domain has some twenty look-ups, of which SPF's follow one another
_MOST_HOSTS = 5  # of an MX, and names of an address: one that works is enough
_MOST_REPORT_DOMAINS = 5
_MOST_AUDIENCE_DOMAINS = 500  # those of most recipients


def judge_domain(asked: Dns, request: DomainRequest) -> list[Line]:
    """All lines about one sending domain. Never raises because of the DNS.

    asked: of this judgement alone (providers.dns_records.DnsLooks), whose `within` bounds the whole.
    """
    return judge(gathered(asked, request))


def gathered(asked: Dns, request: DomainRequest) -> Evidence:
    """What the DNS says about a sending domain; all questions that do not depend on one another at once."""
    selectors = dict.fromkeys(request.further_selectors, False) | dict.fromkeys(request.selectors, True)
    with ThreadPoolExecutor(_THREADS) as pool:
        spf = pool.submit(_spf, asked, request)
        keys = [pool.submit(_selector, asked, request, name, needed) for name, needed in selectors.items()]
        dmarc = pool.submit(lambda: tuple(asked.ask(f"_dmarc.{name}", "TXT") for name in upwards(request.domain)))
        hosts = [pool.submit(_hosts, asked, name) for name in dict.fromkeys((request.domain, request.reply_to))]
        reverse = [pool.submit(_reverse, asked, address) for address in request.relays]
        extras = [pool.submit(_first_there, asked, names) for names in extra_names(request.domain)]
    answer, walk, relay_walks = spf.result()
    evidence = Evidence(
        request=request,
        spf=answer,
        walk=walk,
        relay_walks=relay_walks,
        selectors=tuple(one.result() for one in keys),
        dmarc=dmarc.result(),
        report_consents={},
        receives=tuple(one.result() for one in hosts),
        reverse=tuple(one.result() for one in reverse),
        extras=tuple(one.result() for one in extras),
    )
    return replace(evidence, report_consents=_consents(asked, evidence))


def _first_there(asked: Dns, names: Sequence[str]) -> Answer:
    """The TXT records of the first name that has any, or gives no answer; else what the last one says."""
    for name in names:
        answer = asked.ask(name, "TXT")
        if answer.values or answer.unclear:
            break
    return answer


def _spf(asked: Dns, request: DomainRequest) -> tuple[Answer, SpfWalk | None, dict[str, SpfWalk]]:
    if request.esp_return_path:
        return Answer(request.return_path, "TXT", Standing.NO_RECORD), None, {}  # not ours to ask about
    answer = asked.ask(request.return_path, "TXT")
    if len(spf_texts(answer.values)) != 1:
        return answer, None, {}
    walk = walked(asked, request.return_path)
    return answer, walk, {address: walked(asked, request.return_path, address) for address in request.relays}


def _selector(asked: Dns, request: DomainRequest, name: str, required: bool) -> Selector:
    at = request.key_name(name)
    answer = asked.ask(at, "TXT")
    wanted = request.wanted(at, "CNAME")
    at_esp = asked.ask(wanted.value, "TXT") if wanted is not None and answer.values else None
    return Selector(name, required, answer, tuple(key_in(value) for value in answer.values), at_esp)


def _hosts(asked: Dns, domain: str) -> MailHosts:
    """Where a domain receives: without MX at itself (RFC 5321, 5.1)."""
    mx = asked.ask(domain, "MX")
    names = [host for _, host in sorted((int(value.split()[0]), value.split()[1]) for value in mx.values)]
    if not mx.values and not mx.unclear:
        names = [domain]
    addresses: list[Answer] = []
    for name in names[:_MOST_HOSTS]:
        for kind in ("A", "AAAA"):
            addresses.append(asked.ask(name, kind))
            if addresses[-1].values:
                return MailHosts(domain, mx, tuple(addresses))
    return MailHosts(domain, mx, tuple(addresses))


def _reverse(asked: Dns, address: str) -> ReverseName:
    names = asked.ask(dns.reversename.from_address(address).to_text(), "PTR")
    kind = "AAAA" if ":" in address else "A"
    return ReverseName(address, names, tuple(asked.ask(name, kind) for name in names.values[:_MOST_HOSTS]))


def _consents(asked: Dns, evidence: Evidence) -> dict[str, Answer]:
    """Whether the strangers that DMARC's reports go to take them (RFC 9990, 4)."""
    policy = discovered(evidence).policy
    if policy is None:
        return {}
    of = policy.at.removeprefix("_dmarc.")
    strangers = [name for name in dict.fromkeys(report_domains(policy)) if organisation(name) != organisation(of)]
    return {name: asked.ask(f"{of}._report._dmarc.{name}", "TXT") for name in strangers[:_MOST_REPORT_DOMAINS]}


def judge_audience(asked: Dns, counts: Mapping[str, int], *, most: int = _MOST_AUDIENCE_DOMAINS) -> AudienceDomains:
    """How many recipients are at domains that receive mail: counts by domain, the biggest `most` of which are asked.

    See domain.reachability.audience_lines for the lines.
    """
    biggest = sorted(counts, key=lambda domain: (-counts[domain], domain))[:most]
    with ThreadPoolExecutor(_THREADS * 2) as pool:
        verdicts = dict(zip(biggest, pool.map(lambda domain: _receives(asked, domain), biggest), strict=True))
    return audience_of(counts, verdicts)


def _receives(asked: Dns, domain: str) -> bool | None:
    try:
        name = ascii_domain(domain)
    except InvalidDomain:
        return False
    return receives(_hosts(asked, name))
