"""A host over a real sandbox on loopback, and what it is given to send."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from domain.campaign_host import HostedCampaign, Member
from domain.campaigns import Sender
from domain.templates import Content, html_tag, plain_tag
from providers.mailchimp.calls import open_marketing
from providers.mailchimp.config import MailchimpConfig
from providers.mailchimp.host import MailchimpHost
from providers.mailchimp.sdk import Marketing
from tests.providers import loopback

LIST = "5a4db0c5e1"
KEY = "SG.test-key"
BASE = "/mailchimp/3.0"
VARIABLES = ("first_name", "last_order_on")
UNSUBSCRIBE = "unsubscribe_url"


def config(url: str, **changes: Any) -> MailchimpConfig:
    own = {"marketing_api_key": SecretStr(KEY), "marketing_base_url": url + BASE, "marketing_list_id": LIST}
    return MailchimpConfig.model_validate(own | changes)


@contextmanager
def a_host(
    url: str, *, on_request: Callable[[httpx.Request], None] | None = None, **changes: Any
) -> Iterator[tuple[MailchimpHost, Marketing]]:
    """The host, and the SDK that it calls, to look behind it."""
    client = open_marketing(config(url, **changes))
    if on_request is not None:
        client.event_hooks = {"request": [on_request]}
    api = Marketing(client)
    with closing(MailchimpHost(api, LIST)) as host:
        yield host, api


def members(*addresses: str, run: str = "run-1", first_name: str = "Zoë") -> list[Member]:
    return [
        Member(
            f"{run}.{ordinal}",
            address,
            {
                "first_name": first_name,
                "last_order_on": "3 May 2026",
                UNSUBSCRIBE: f"https://shop.example.com/u/{ordinal}",
            },
        )
        for ordinal, address in enumerate(addresses)
    ]


def campaign(key: str = "run-1", **changes: Any) -> HostedCampaign:
    unsubscribe = html_tag(UNSUBSCRIBE)
    facts = {
        "name": "spring",
        "subject": f"News for {plain_tag('first_name')}",
        "html": f"<html><body><p>Hello {html_tag('first_name')}, since {html_tag('last_order_on')}</p>"
        f'<a href="{unsubscribe}">leave</a> <a href="{unsubscribe}/preferences">choose</a></body></html>',
        "text": f"Hello {plain_tag('first_name')}\nleave: {plain_tag(UNSUBSCRIBE)}",
        "variables": VARIABLES,
        "hash": "h",
    }
    return HostedCampaign(key, "Spring", Content(**{**facts, **changes}), Sender("news@shop.example.com", "The Shop"))


def ready(host: MailchimpHost, addresses: Sequence[str], *, key: str = "run-1") -> str:
    """Everything but the last step; the campaign's id."""
    host.prepare(key, VARIABLES)
    host.put_members(key, members(*addresses, run=key))
    campaign_id = host.campaign(campaign(key))
    host.fill(campaign_id, campaign(key))
    return campaign_id


def at_once(client: httpx.Client, **faults: Any) -> None:
    """Turn the sandbox's knobs: what is scheduled goes out without waiting."""
    client.put("/sandbox/faults", json={"campaigns_go_at_once": True, **faults}).raise_for_status()


def titles(api: Marketing) -> list[str]:
    return [one["settings"]["title"] for one in api.campaigns.list(count=1000)["campaigns"]]


def received(request: httpx.Request) -> loopback.Received:
    """A request as it goes out, as if Mailchimp's own server had got it."""
    target = request.url.raw_path.decode().removeprefix("/mailchimp")
    headers = {name.title(): value for name, value in request.headers.items()}
    return loopback.Received(request.method, target, headers, request.read())


def body(one: loopback.Received) -> Any:
    return orjson.loads(one.body)
