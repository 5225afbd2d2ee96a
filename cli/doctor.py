"""Is this installation fit to send? Each check says what was found and, where it is wrong, what to do."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import settings
from cli import doctor_esps, doctor_events, doctor_messages, mistakes, services, store
from cli.check import Check, usable_engine
from cli.output import Mistake, moment
from tasks import half_configured, prefect_api

if TYPE_CHECKING:
    from data.intake.load import Unfinished

_FRESH = timedelta(days=2)
_CHOICES = ("segment", "template", "provider")


def examine() -> list[Check]:
    """Look at everything; a check that breaks is itself a finding."""
    try:
        config = settings.load()
    except ValueError as error:
        if (line := mistakes.line(error)) is None:
            raise
        return [Check("settings", ok=False, found=line)]
    checks = [Check("settings", ok=True, found="complete")]
    looks: dict[str, Callable[[settings.Settings], Iterator[Check]]] = {
        "database": _database,
        "channels": _channels,
        "orders": _orders,
        "order mail": doctor_messages.order_mail,
        "routes": _routes,
        "sandbox ESP": _sandbox,
        "SMTP relays": doctor_esps.returns_of_relays,
        "ESPs": doctor_esps.keys,
        "SendGrid webhook": doctor_esps.sendgrid_webhook,
        "Postmark webhook": doctor_esps.postmark,
        "Mailchimp": doctor_events.mailchimp,
        "returned mail": doctor_events.returned,
        "gateway": _gateway,
        "raw bodies": doctor_events.bodies,
        "brakes": doctor_events.held_back,
        "Prefect": _prefect,
    }
    for what, look in looks.items():
        checks += _guarded(what, look, config)
    return checks


def _guarded(
    what: str, look: Callable[[settings.Settings], Iterator[Check]], config: settings.Settings
) -> Iterator[Check]:
    try:
        yield from look(config)
    except Exception as error:
        if (line := mistakes.line(error)) is None:
            raise
        yield Check(what, ok=False, found=line)


def _database(config: settings.Settings) -> Iterator[Check]:
    from data import database, installation
    from data.features import frame
    from tasks import wiring

    engine = store.engine()
    yield Check("database", ok=True, found=f"{engine.dialect.name}, {store.place()}, newest schema")
    with database.read(engine) as connection:
        try:
            account_id = store.account_id(connection, None)
        except Mistake as error:
            yield Check("account", ok=False, found=str(error))
            return
        as_of = frame.watermark(connection, account_id)
        trouble = installation.trouble(connection, config.environment)
    yield Check("account", ok=True, found=config.account)
    told = f"no live run may start: {trouble}; `campaigns environment claim` changes that" if trouble else None
    yield Check("environment", ok=trouble is None, found=told or config.environment)
    if as_of is None:
        yield Check("customer features", ok=False, found="none yet: `campaigns features refresh` makes them")
        return
    fresh = wiring.clock() - as_of < _FRESH
    hint = "" if fresh else ", older than two days: does the deployment refresh-features run every night?"
    yield Check("customer features", ok=fresh, found=f"as of {moment(as_of)} UTC{hint}")


def _channels(config: settings.Settings) -> Iterator[Check]:
    """The files that say which shops sell where, how they are read, and what is tolerated."""
    from data.channels import mapping, registry
    from data.intake import thresholds
    from tasks import wiring

    thresholds.load(config.intake.thresholds_file)
    connections = wiring.connections().connections
    for one in connections:
        registry.get(one.reader)
        if one.mapping is not None:
            mapping.load(one.mapping)
    count = len(connections)
    told = f"{count} in {config.intake.channels_file}" if count else f"none in {config.intake.channels_file}"
    yield Check("channels", ok=True, found=f"{told}; files need none where the channel has its adapter's name")


def _orders(_config: settings.Settings) -> Iterator[Check]:
    """Each source that needs somebody, and files that were cut off."""
    from data import database
    from data.channels.connections import Connections, UnusableConnections
    from data.intake import health, load
    from tasks import wiring

    try:
        declared = wiring.connections()
    except UnusableConnections:  # told above; what the store knows is told all the same
        declared = Connections()
    if (engine := usable_engine()) is None:
        return
    now = wiring.clock()
    with database.read(engine) as connection:
        found = health.examine(connection, declared, now=now)
        files = load.unfinished(connection, now=now)
    unwell = [one for one in found if one.alarms]
    for one in unwell:
        yield Check(f"orders, {one.channel} of {one.account_id}", ok=False, found="; ".join(one.alarms))
    for file in files:
        yield Check(f"orders, {file.channel} of {file.account_id}", ok=False, found=_cut_off(file))
    if not unwell and not files:
        letters = sum(one.open_letters for one in found)
        told = f"{len(found)} source(s) well" if found else "no channel has brought one yet: `campaigns intake FILE`"
        yield Check("orders", ok=True, found=f"{told}; {letters:,} dead letter(s) open" if letters else told)


def _cut_off(file: "Unfinished") -> str:
    return (
        f"the file {file.name} was cut off while it was read ({moment(file.started_at)} UTC): load it again, or the mended "
        f"one under the same name: `campaigns intake {file.name} --channel {file.channel}`"
    )


def _routes(config: settings.Settings) -> Iterator[Check]:
    """The file that says by which ESPs mail leaves, and whether each of its keys is there."""
    from providers import routes_file

    declared, place = routes_file.load(config.routes.file), config.routes.file
    if not place.exists() and place != type(config.routes)().file:
        yield Check("routes", ok=False, found=f"OMS_ROUTES_FILE names {place}, and there is no such file")
        return
    if declared.accounts and config.account not in declared.accounts:
        named = ", ".join(declared.accounts)
        yield Check("routes", ok=False, found=f"{place} names {named}, and not this installation's {config.account}")
        return
    if lacking := list(half_configured.routes()):
        yield Check("routes", ok=False, found="; ".join(lacking))
        return
    ways = sum(map(len, declared.accounts.values()))
    told = f"{ways} by {len(declared.providers)} provider(s)" if ways else "those of the settings: none are"
    yield Check("routes", ok=True, found=f"{told} in {config.routes.file}; `campaigns routes` shows them")


def _sandbox(config: settings.Settings) -> Iterator[Check]:
    """Needed only where nothing else can send."""
    if services.answers(f"{config.sandbox.url}/health"):
        yield Check("sandbox ESP", ok=True, found=config.sandbox.url)
    elif config.sendgrid.api_key is not None:
        yield Check("sandbox ESP", ok=True, found="not running; SendGrid does not need it")
    else:
        yield Check("sandbox ESP", ok=False, found="does not answer: `campaigns up` starts it")


def _gateway(config: settings.Settings) -> Iterator[Check]:
    up = services.answers(f"http://{config.gateway.host}:{config.gateway.port}/health")
    told = config.gateway.public_url if up else "does not answer: `campaigns up` starts it"
    yield Check("gateway", ok=up, found=told)


def _prefect(config: settings.Settings) -> Iterator[Check]:
    with prefect_api.client() as connected:
        yield Check("Prefect", ok=True, found=config.prefect.url)
        yield _worker(connected)
        yield _deployments(connected)


def _worker(connected: prefect_api.Client) -> Check:
    """Without one, what is started waits for ever."""
    online = prefect_api.workers_online(connected, services.POOL)
    told = f"{online} at work" if online else "none, so nothing that is started would run: `campaigns up` starts one"
    return Check("worker", ok=online > 0, found=told)


def _deployments(connected: prefect_api.Client) -> Check:
    """All of them, and the run form as this program would make it now: a form is fixed when it is deployed."""
    forms = prefect_api.forms(connected)
    if missing := [name for name in prefect_api.DEPLOYMENTS if name not in forms]:
        return Check("deployments", ok=False, found=f"missing: {', '.join(missing)}; `campaigns up` makes them")
    stale = list(_stale(forms["run-campaign"]))
    if stale:
        told = f"the run form is out of date ({'; '.join(stale)}): end `campaigns up` and start it again"
        return Check("deployments", ok=False, found=told)
    return Check("deployments", ok=True, found="complete, and the run form is up to date")


def _stale(form: dict[str, Any]) -> Iterator[str]:
    """How the deployed form differs from the present one."""
    from tasks.request import CampaignRequest

    present = CampaignRequest.model_json_schema()["properties"]
    deployed = form.get("definitions", {}).get(CampaignRequest.__name__, {}).get("properties", {})
    for name in _CHOICES:
        now, then = set(present[name]["enum"]), set(deployed.get(name, {}).get("enum", ()))
        if new := sorted(now - then):
            yield f"it lacks {name} {', '.join(new)}"
        if gone := sorted(then - now):
            yield f"it offers {name} {', '.join(gone)}, which is gone"
    if changed := sorted(deployed.keys() ^ present.keys()):
        yield f"its fields differ: {', '.join(changed)}"
