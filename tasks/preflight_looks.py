"""Looking at what a mail would go out by and at the mail itself, line by line. Nothing is sent here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

import settings
from data import accounts, content, database, esp_templates, preflights, template_checks, variables
from data.preflights import Look
from domain import authentication, content_vetting, mail_links, reachability
from domain.campaigns import Run, Sender
from domain.content_vetting import Mail
from domain.esp_templates import NotInOurWords, NotTold, TemplateGone, TemplateStoreError, kept_name
from domain.preflight import Light, Line, worst
from domain.routes import Route
from domain.sender_domain import InvalidDomain
from domain.suppression import Stream
from domain.templates import Content
from providers.authentication import judge_audience, judge_domain
from providers.dns import NoNameServer
from providers.dns_records import DnsLooks
from providers.links import open_prober
from tasks import connectivity, esps, pinning, template_stores, wiring

GOOD_FOR = timedelta(hours=1)  # a good look spares the next runs the same questions
_WITHIN_SECONDS = 10.0
_SAMPLE_ID = "preflight.0"  # of nobody's message
_NAMES = ("first_name", "last_name")
_USUAL_VALUE = "a value"
# Of the checks of templates those that the vetting of content does: with what a launch must not have.
_VETTED = frozenset({"links", "way out", "subject", "unfilled", "text part"})


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `refused`: why a marketing launch may not go out by it; empty: it may."""

    account_id: str
    template: str
    lines: tuple[Line, ...]
    refused: tuple[str, ...]
    looked_at: datetime  # the oldest look among it

    @property
    def worst(self) -> Light:
        return worst(self.lines)

    def with_lines(self, more: Iterable[Line]) -> "Report":
        return replace(self, lines=(*self.lines, *more))


@dataclass(frozen=True, slots=True)
class Rendered:
    """The mail of a run, with sample values."""

    content: Content
    values: dict[str, str]
    sender: Sender
    subject: str  # as long as one usually is: sample values explain themselves at length


def rendered(run: Run) -> Rendered:
    """Raises TemplateError; for a template at the ESP also what `pinning.active` raises."""
    try:
        with database.read(wiring.engine()) as connection:
            template, found = wiring.content_of(connection, run)
    except esp_templates.NotPinned:  # of nobody's run: what a new one would pin
        name = kept_name(run.plan.template) or ""
        pinned = pinning.active(run.plan.account_id, run.plan.provider, name, by="pre-flight")
        template, found = esp_templates.as_template(pinned), esp_templates.as_content(pinned, subject=run.plan.subject)
    (link,) = wiring.links().unsubscribe([_SAMPLE_ID])
    values = wiring.sample_values(template) | {variables.UNSUBSCRIBE_URL: link}
    usual = {name: template.fallbacks.get(name, _USUAL_VALUE) for name in found.variables}
    return Rendered(found, values, run.plan.sender, content.filled(found, usual)["subject"])


def look(run: Run, ways: Sequence[Route], *, fresh: bool) -> Report:
    """Everything about a run's mail and ways but test messages. `fresh`: nothing that is known is taken for granted."""
    now = wiring.clock()
    looks = [_way(run.plan.account_id, route, fresh=fresh, now=now) for route in _different(ways)]
    mail = vetted(run, ways)
    lines = (*(line for one in looks for line in one.lines), *mail)
    refused = () if all(map(is_rehearsal, ways)) else tuple(_refusals(run.plan.account_id, looks, mail, now))
    return Report(run.plan.account_id, run.plan.template, lines, refused, min((one.at for one in looks), default=now))


def is_rehearsal(route: Route) -> bool:
    """Does it deliver to nobody?"""
    return route.provider in esps.declared().rehearsals


def _different(ways: Sequence[Route]) -> list[Route]:
    """One of those that share provider and domain."""
    return list({(one.provider, one.domain): one for one in ways}.values())


def _way(account_id: str, route: Route, *, fresh: bool, now: datetime) -> Look:
    """What is known of this way for less than an hour and was good, else a new look, which is kept."""
    way = {"domain": route.domain, "provider": route.provider}
    engine = wiring.engine()
    with database.read(engine) as connection:
        known = preflights.latest(connection, account_id, **way)
    if not fresh and known is not None and _is_well(known) and timedelta() <= now - known.at < GOOD_FOR:
        return known
    lines = connectivity.lines(route.provider, route.domain)
    lines += [] if is_rehearsal(route) else _authenticated(route)
    good = is_rehearsal(route) or authentication.passes(lines)
    with database.write(engine) as connection:
        preflights.keep(connection, account_id, **way, lines=lines, good=good, now=now)
    return Look(route.domain, route.provider, tuple(lines), worst(lines), good, now)


def _is_well(look: Look) -> bool:
    """The ESP answered too, and has nothing against it: else it is asked anew."""
    asked = [line.light for line in look.lines if line.area in {connectivity.AREA, connectivity.SENDER_DOMAIN}]
    return look.good and not {Light.RED, Light.GREY}.intersection(asked)


def _authenticated(route: Route) -> list[Line]:
    """The DNS of the sending domain, as far as it answers within ten seconds."""
    try:
        request = connectivity.domain_request(route.provider, route.domain)
        return judge_domain(DnsLooks(settings.load().dns, within=_WITHIN_SECONDS), request)
    except NoNameServer as error:
        return [Line(area, route.domain, Light.GREY, str(error)) for area in authentication.ALWAYS_JUDGED]
    except InvalidDomain as error:
        return [Line(area, route.domain, Light.RED, str(error)) for area in authentication.ALWAYS_JUDGED]


def vetted(run: Run, ways: Sequence[Route]) -> list[Line]:
    """The mail itself: does it render, and what is held against it. Of a template at the ESP: the version that is pinned."""
    template = run.plan.template
    try:
        mail = rendered(run)
    except NotTold as error:
        return [Line("rendering", template, Light.BLUE, str(error))]
    except (content.TemplateError, TemplateGone, NotInOurWords, template_stores.KeepsNoTemplates) as error:
        return [Line("rendering", template, Light.RED, str(error))]
    except TemplateStoreError as error:
        return [Line("rendering", template, Light.GREY, str(error), "try again in some minutes")]
    found = _mail(run, mail, ways)
    lines = [Line("rendering", template, Light.GREEN, f"it renders with sample values: {_size(found)}")]
    lines += content_vetting.vet(found) + _laid_out(found)
    config = settings.load()
    if config.preflight.try_links and not found.rehearsal:
        links = [url for url in mail_links.to_probe(found.page.links) if not url.startswith(found.unsubscribe_url)]
        lines += mail_links.judged(open_prober(config.dns).probe(links), template)
    return lines


def _laid_out(mail: Mail) -> list[Line]:
    """How it shows in inboxes, as templates are checked; what the vetting says of links and the way out is not said twice."""
    page = template_checks.Mail(
        mail.subject, mail.html, mail.text, Stream.MARKETING, mail.unsubscribe_url, mail.postal_address
    )
    return [
        Line("template", mail.template, Light.YELLOW, f"{one.check}, {one.where}", one.what_to_do)
        for one in template_checks.check(page)
        if one.check not in _VETTED
    ]


def audience(counts: Mapping[str, int]) -> list[Line]:
    """Who of these recipients (by domain) is where no mail is received."""
    try:
        looks = DnsLooks(settings.load().dns, within=_WITHIN_SECONDS)
    except NoNameServer as error:
        return [Line("audience", "recipients", Light.GREY, str(error))]
    return reachability.audience_lines(judge_audience(looks, counts))


def _size(mail: Mail) -> str:
    return f"HTML {len(mail.html.encode()) / 1024:.0f} KB, text {len(mail.text.encode()) / 1024:.0f} KB"


def _mail(run: Run, mail: Rendered, ways: Sequence[Route]) -> Mail:
    with database.read(wiring.engine()) as connection:
        account = accounts.get(connection, run.plan.account_id)
    shown = content.filled(mail.content, mail.values)
    domains = [one.domain for one in ways]
    own = mail.sender.email.rpartition("@")[2]
    return Mail(
        template=run.plan.template,
        subject=mail.subject,
        html=shown["html"],
        text=shown["text"],
        sender_name=mail.sender.name,
        sender_domain=own if own in domains or not domains else domains[0],  # as data.ledger writes it
        domains=domains,
        unsubscribe_url=mail.values[variables.UNSUBSCRIBE_URL],
        postal_address=account.postal_address,
        recipient=[mail.values[name] for name in _NAMES if name in mail.values],
        rehearsal=all(map(is_rehearsal, ways)),
    )


def _refusals(account_id: str, looks: Sequence[Look], mail: Sequence[Line], now: datetime) -> list[str]:
    """Why a marketing launch may not go out, each with the record that would mend it."""
    real = [one for one in looks if one.provider not in esps.declared().rehearsals]
    reasons: list[str] = []
    with database.read(wiring.engine()) as connection:
        for one in real:
            reasons += _of_domain(connection, account_id, one, now)
    links = [one.lines[0] for one in real]
    if links and all(line.light is Light.RED for line in links):  # of several, another one may carry it
        reasons += [_mended(f"{line.area} of {line.subject}: {line.found}", [line]) for line in links]
    told = [line for one in real for line in one.lines if line.area == connectivity.SENDER_DOMAIN]
    reasons += [_mended(f"{line.area}: {line.found}", [line]) for line in (*told, *mail) if line.light is Light.RED]
    return list(dict.fromkeys(reasons))


def _of_domain(connection: sa.Connection, account_id: str, one: Look, now: datetime) -> list[str]:
    last_good = preflights.last_good(connection, account_id, domain=one.domain, provider=one.provider)
    found = authentication.may_launch_marketing(one.lines, now=now, last_good=last_good)
    return [_mended(reason, [line for line in one.lines if line.found in reason]) for reason in found]


def _mended(reason: str, lines: Sequence[Line]) -> str:
    record = next((line.publish for line in lines if line.publish and line.light is Light.RED), "")
    return f"{reason}. To mend it: {' '.join(record.split())}" if record else reason
