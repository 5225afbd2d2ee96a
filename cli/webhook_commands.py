"""Commands about the webhooks at an ESP whose audience has them: list, register, remove."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

import settings
from cli.output import AsJson, Mistake, answer, table

if TYPE_CHECKING:
    from providers.mailchimp.config import MailchimpConfig

app = typer.Typer(no_args_is_help=True)
Named = Annotated[
    str | None, typer.Argument(metavar="[PROVIDER]", help="A Mailchimp audience; the only one there is unless given.")
]
Provider = Annotated[str | None, typer.Option(help="The same, as an option.")]


@app.command("list")
def list_webhooks(named: Named = None, provider: Provider = None, as_json: AsJson = False) -> None:
    """The audience's webhooks, and what is wrong with those that lead here. Of each URL the host, as it holds a secret."""
    from providers.mailchimp import webhooks
    from tasks import esps

    with closing(webhooks.open_webhooks(_of(named, provider))) as opened:
        found = opened.webhooks()
    told = webhooks.findings(found, esps.marketing_webhook_urls(), secrets_set=_demands_signatures())
    rows = [(one.id, "yes" if one.signed else "no", ", ".join(one.lacks) or "nothing", one.host) for one in found]
    payload = {
        "webhooks": [{"id": one.id, "signed": one.signed, "lacks": one.lacks, "host": one.host} for one in found],
        "findings": told,
    }
    text = table("", ["id", "signed", "does not tell", "host"], rows) if rows else "The audience has no webhook."
    answer(payload, as_json=as_json, text="\n".join([text, *told]))


@app.command("register")
def register(named: Named = None, provider: Provider = None, as_json: AsJson = False) -> None:
    """Make the webhook to this gateway, which must be reachable. Its signing secret is shown now and never again."""
    from providers.mailchimp import webhooks
    from tasks import esps

    urls = esps.marketing_webhook_urls()
    if not urls:
        raise Mistake(
            "there is no secret for the webhook's URL: set OMS_MAILCHIMP_MARKETING_URL_SECRETS first, 20 characters or"
            " more; docs/webhooks.md tells how"
        )
    config = _of(named, provider)
    _check_reachable(config)
    with closing(webhooks.open_webhooks(config)) as opened:
        made = opened.register_webhook(urls[0])
    secret = made.signing_secret.get_secret_value() if made.signing_secret else None
    told = (
        f"Webhook {made.id} was made. Put its secret into OMS_MAILCHIMP_MARKETING_SIGNING_SECRETS now; Mailchimp never"
        f" shows it again: {secret}"
        if secret
        else f"Webhook {made.id} was made. Mailchimp signs nothing there: the secret in its URL vouches for it alone."
    )
    answer({"id": made.id, "signing_secret": secret}, as_json=as_json, text=told)


@app.command("remove")
def remove(
    webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `campaigns webhooks list` shows it.")],
    named: Named = None,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Take one away."""
    from providers.mailchimp import webhooks

    with closing(webhooks.open_webhooks(_of(named, provider))) as opened:
        opened.remove(webhook_id)
    answer({"removed": webhook_id}, as_json=as_json, text=f"Webhook {webhook_id} is gone.")


def _of(named: str | None, said: str | None) -> "MailchimpConfig":
    from tasks import esps
    from tasks.esp_kinds import Marketing

    if named is not None and said is not None and named != said:
        raise Mistake(f"{named} and --provider {said} are two providers: name one")
    provider = named or said or _only_audience()
    reached = esps.reach(provider)
    if not isinstance(reached, Marketing):
        raise Mistake(f"{provider} has no audience: its webhook is made in its own pages; docs/webhooks.md tells how")
    return reached.config


def _only_audience() -> str:
    """That of the settings where they have one, else the only one of routes.yaml. Raises Mistake for several."""
    from tasks import esps

    declared = [name for name, one in esps.declared().providers.items() if one.contract == "mailchimp"]
    found = [*(["mailchimp"] if esps.is_set_up("mailchimp") and "mailchimp" not in declared else []), *declared]
    if len(found) > 1:
        raise Mistake(f"there are several audiences: name one of {', '.join(found)}")
    return found[0] if found else "mailchimp"


def _check_reachable(config: "MailchimpConfig") -> None:
    """Mailchimp asks the URL before it takes it, by HTTPS and from outside; one on this machine is no Mailchimp."""
    from providers.esp_connection import on_this_machine

    gateway = settings.load().gateway
    if not gateway.reachable and not on_this_machine(config.marketing_base_url):
        raise Mistake(
            f"Mailchimp cannot reach OMS_GATEWAY_PUBLIC_URL, {gateway.public_url}: set it to the gateway's HTTPS"
            " address, whose name the world knows. Nothing was asked of Mailchimp"
        )


def _demands_signatures() -> bool:
    return bool(settings.load().mailchimp.marketing_signing_secrets)
