"""The one table from what was raised to the line that the user reads. What is not in it is a fault of ours.

By name, not by class: a start of the command must not import the rooms that a command does not need.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Line = Callable[[Any], str | None]

# SQLite's primary result codes that speak of the file and its surroundings: perm, busy, locked, readonly, ioerr,
# corrupt, full, cantopen, notadb. Code 1 (a wrong statement) and 19 (a constraint) would be faults of ours.
_FILE_TROUBLE = frozenset({3, 5, 6, 8, 10, 11, 13, 14, 26})
_PRIMARY = 0xFF


def line(error: BaseException) -> str | None:
    """What to tell the user in one line; None for a fault of ours, whose traceback is wanted."""
    for kind in type(error).__mro__:
        if (tell := LINES.get(f"{kind.__module__}.{kind.__qualname__}")) is not None:
            told = tell(error)
            return None if told is None else " ".join(told.split())
    return None


def settings_line(error: Any) -> str | None:
    """Which variables are missing or wrong; never a value, it may be a secret."""
    if error.title != "Settings":
        return None
    missing: list[str] = []
    wrong: list[str] = []
    for one in error.errors():
        if one["type"] == "missing":
            missing += _variables(one["loc"])
        else:
            name, told = _variable(one["loc"]), str(one["msg"]).removeprefix("Value error, ")
            short = one["type"] == "too_short"
            wrong.append(f"{name} needs {one['ctx']['min_length']} characters" if short else f"{name}: {told}")
    if missing:
        wrong.insert(
            0, f"{' and '.join(missing)} must be set: `campaigns up` writes them into .env while there is no database"
        )
    return f"{'; '.join(wrong)}. .env.example explains every setting"


def _unreadable_setting(error: Any) -> str:
    """pydantic-settings says which group of variables, and no more."""
    found = re.search(r'field "(\w+)"', str(error))
    group = f"OMS_{found[1].upper()}" if found else "OMS"
    return f'a variable {group}_… cannot be read: lists are written as JSON, such as ["one"]; .env.example has all'


def _variable(place: tuple[Any, ...]) -> str:
    """The environment's name of a setting; what is wrong with several together is said of their group."""
    import settings

    group = settings.Settings.model_fields[str(place[0])].annotation
    grouped = hasattr(group, "model_fields") or hasattr(group, "__dataclass_fields__")
    name = "OMS_" + "_".join(map(str, place[:2])).upper()
    return f"{name}_…" if grouped and len(place) == 1 else name


def _variables(place: tuple[Any, ...]) -> list[str]:
    """The environment's names of a setting; of a whole group those that it cannot do without."""
    import settings

    group = getattr(settings.Settings.model_fields[str(place[0])].annotation, "model_fields", {})
    names = [place] if len(place) > 1 or not group else [(*place, name) for name in group if group[name].is_required()]
    return ["OMS_" + "_".join(map(str, name[:2])).upper() for name in names]


def _database(error: Any) -> str | None:
    from sqlalchemy.exc import OperationalError

    code = getattr(error.orig, "sqlite_errorcode", None)
    ours = code & _PRIMARY not in _FILE_TROUBLE if code is not None else not isinstance(error, OperationalError)
    if ours:
        return None
    from cli import store

    reason = _without_password(str(error.orig)).strip().partition("\n")[0]
    return f"the database {store.place()} cannot be used: {reason}. OMS_DATABASE_URL says where it is"


def _without_password(text: str) -> str:
    import sqlalchemy as sa

    import settings

    url = sa.make_url(settings.load().database.url)
    for secret in (url.password, url.query.get("password")):
        text = text.replace(str(secret), "***") if secret else text
    return text


def _silent_service(error: Any) -> str:
    try:
        url = error.request.url.copy_with(path="/", query=None)
    except RuntimeError:  # httpx: no request is known
        url = "a service"
    return f"{url} does not answer ({type(error).__name__}): `campaigns doctor` says what is wrong"


def _prefect(error: Any) -> str:
    answered = error.response
    try:
        detail = answered.json()["detail"]
    except (ValueError, LookupError, TypeError):
        detail = answered.reason_phrase
    return f"Prefect refuses this ({answered.status_code}: {detail}): `campaigns doctor` says what is wrong"


LINES: Mapping[str, Line] = {
    "cli.output.Mistake": str,
    "data.accounts.UnknownAccount": str,
    "data.api_keys.UnknownKey": str,
    "data.brakes.UnknownBrake": str,
    "data.channels.api.ChannelRefused": str,
    "data.channels.api.ChannelUnavailable": str,
    "data.channels.connections.UnusableConnections": str,
    "data.channels.mapping.UnusableMapping": str,
    "data.channels.registry.UnknownChannel": str,
    "data.control.NotPossible": str,
    "data.dead_letters.UnknownLetter": str,
    "data.esp_templates.NotPinned": str,
    "data.features.frame.NoFeatures": str,
    "data.features.population.FeaturesMoved": str,
    "data.field_values.FieldError": str,
    "data.guardrails.NotBreached": str,
    "data.installation.ForeignDatabase": str,
    "data.intake.files.UnreadableFile": str,
    "data.intake.patches.UnusablePatch": str,
    "data.intake.pull.NothingToPull": str,
    "data.intake.quarantine.NotQuarantined": str,
    "data.intake.thresholds.UnusableThresholds": str,
    "data.message_rules.UnusableMessages": str,
    "data.order_lookup.UnknownOrder": str,
    "data.pools.PoolOfOtherStream": str,
    "data.rates_file.UnusableRates": str,
    "data.runs.UnknownRun": str,
    "data.samples.cdnow.MissingDataSet": str,
    "data.template_engine.TemplateError": str,
    "data.topics.UnknownTopic": str,
    "data.transactional.UnknownMessage": str,
    "data.transactional_again.CannotResend": str,
    "domain.accounts.InvalidAccount": str,
    "domain.api_keys.InvalidKey": str,
    "domain.campaign_host.HostRefuses": str,
    "domain.campaign_host.HostUnavailable": str,
    "domain.addresses.InvalidAddress": str,
    "domain.esp_templates.NotInOurWords": str,
    "domain.esp_templates.TemplateStoreError": str,
    "domain.rules.RuleError": str,
    "httpx.TransportError": _silent_service,
    "prefect.exceptions.PrefectHTTPStatusError": _prefect,
    "providers.mailchimp.calls.CallFailed": str,
    "providers.mailchimp.config.MailchimpNotConfigured": str,
    "providers.postmark.access.TokenRefused": str,
    "providers.postmark.config.PostmarkNotConfigured": str,
    "providers.routes_file.UnknownConnection": str,
    "providers.routes_file.UnusableRoutes": str,
    "providers.sandbox.record.RecordUnavailable": str,
    "providers.sendgrid.config.SendGridNotConfigured": str,
    "providers.sendgrid.management.ManagementError": str,
    "providers.smtp.access.RelayRefuses": str,
    "providers.smtp.config.ReturnsNotConfigured": str,
    "providers.smtp.config.SmtpNotConfigured": str,
    "providers.smtp.mailbox.MailboxUnavailable": str,
    "pydantic_core._pydantic_core.ValidationError": settings_line,
    "pydantic_settings.exceptions.SettingsError": _unreadable_setting,
    "segments.explain.NotACustomer": str,
    "segments.expression.ExpressionError": str,
    "segments.faults.DefinitionError": str,
    "segments.faults.EvaluationError": str,
    "segments.parameters.ArgumentError": str,
    "segments.registry.UnknownSegment": str,
    "sqlalchemy.exc.DatabaseError": _database,
    "tasks.diffs.CannotCompare": str,
    "tasks.esp_kinds.NotAMailer": str,
    "tasks.kept_templates.StillSent": str,
    "tasks.prefect_api.PrefectUnavailable": str,
    "tasks.prefect_api.TookTooLong": str,
    "tasks.prefect_api.UnknownDeployment": str,
    "tasks.template_stores.KeepsNoTemplates": str,
    "tasks.trial_mail.NotInternal": str,
    "tasks.wiring.CannotStart": str,
    "tasks.esps.UnknownProvider": str,
}
