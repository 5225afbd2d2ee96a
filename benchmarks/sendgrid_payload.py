"""What it costs to build SendGrid's request for 1000 people: our builder, the official helper objects, and the floor.

`python -m benchmarks.sendgrid_payload`. CPU seconds, side by side in one run; nothing is sent. The floor is orjson on
a body that already lies in memory as a dict. facts/esp-contracts.md section 8 measured the helpers at 19 times a
plain dict, and json.dumps at 12 times orjson.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from sendgrid.helpers import mail

from benchmarks import shop
from domain import ports
from domain.campaigns import Sender
from domain.routes import Grant
from domain.templates import Content, html_tag, plain_tag
from providers.sendgrid import payload
from providers.sendgrid.config import SendGridConfig

SIZE = 1000
ROUNDS = 7
OURS = "ours: checks, columns joined as JSON"


def a_batch() -> ports.Batch:
    """A batch with three variables a person, as a real template has."""
    names = ("first_name", "favourite_category", "unsubscribe_url")
    content = Content(
        name="spring",
        subject=f"{plain_tag('first_name')}, spring is here",
        html="".join(f"<p>{html_tag(name)}</p>" for name in names) * 20,
        text="".join(plain_tag(name) for name in names) * 20,
        variables=names,
        hash="0" * 64,
    )
    return ports.Batch(
        run_id="run1",
        batch_id=1,
        attempt_id="4f1c5d4e8d3b4b8f9a55",
        lease_expires_at=datetime.max.replace(tzinfo=UTC),
        campaign="Spring sale",
        content=content,
        sender=Sender("news@shop.example.com", "The Shop", "help@shop.example.com"),
        message_ids=[f"run1.{number}" for number in range(SIZE)],
        addresses=[f"person{number}@customers.example.com" for number in range(SIZE)],
        variables={
            "first_name": [f"Person {number}" for number in range(SIZE)],
            "favourite_category": ["Home & Garden"] * SIZE,
        },
        unsubscribe_urls=[f"https://shop.example.com/unsubscribe/run1.{number}.1.abcdefghij" for number in range(SIZE)],
        grant=Grant("g", 1, shop.ROUTE, "gmail", SIZE, {}),
    )


def by_helpers(batch: ports.Batch, people: list[dict[str, dict[str, str]]]) -> bytes:
    """The way of SendGrid's documentation: one Personalization with its helpers a person, then json.dumps."""
    message = mail.Mail(
        from_email=mail.From(batch.sender.email, batch.sender.name),
        subject=batch.content.subject,
        plain_text_content=batch.content.text,
        html_content=batch.content.html,
    )
    for address, person in zip(batch.addresses, people, strict=True):
        personalization = mail.Personalization()
        personalization.add_to(mail.To(address))
        for key, value in person["custom_args"].items():
            personalization.add_custom_arg(mail.CustomArg(key, value))
        for key, value in person["headers"].items():
            personalization.add_header(mail.Header(key, value))
        for key, value in person["substitutions"].items():
            personalization.add_substitution(mail.Substitution(key, value))
        message.add_personalization(personalization)
    return json.dumps(message.get()).encode()


def dicts(body: dict[str, Any]) -> Callable[[], bytes]:
    """The plain way, made anew at each call: a dict for each person, then orjson, and nothing is looked at."""
    people = body["personalizations"]
    names = tuple(people[0]["substitutions"])
    columns = (
        [one["to"][0]["email"] for one in people],
        [one["custom_args"]["message_id"] for one in people],
        [one["headers"]["List-Unsubscribe"] for one in people],
        *([one["substitutions"][name] for one in people] for name in names),
    )
    attempt_id = people[0]["custom_args"]["attempt_id"]

    def build() -> bytes:
        personalizations = [
            {
                "to": [{"email": address}],
                "custom_args": {"message_id": message_id, "attempt_id": attempt_id},
                "headers": {"List-Unsubscribe": link, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
                "substitutions": dict(zip(names, values, strict=True)),
            }
            for address, message_id, link, *values in zip(*columns, strict=True)
        ]
        return orjson.dumps(body | {"personalizations": personalizations})

    return build


def cpu_seconds(work: Callable[[], object]) -> float:
    """The best of several rounds: what the work costs, not what the machine was doing beside it."""
    best = float("inf")
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def main() -> None:
    batch, config = a_batch(), SendGridConfig()
    body = orjson.loads(payload.build(batch, config))
    ways: dict[str, Callable[[], object]] = {
        "floor: orjson on a ready dict": lambda: orjson.dumps(body),
        "a dict for each, orjson": dicts(body),
        OURS: lambda: payload.build(batch, config),
        "official helper objects, json.dumps": lambda: by_helpers(batch, body["personalizations"]),
    }
    costs = {name: cpu_seconds(work) for name, work in ways.items()}
    ours = costs[OURS]
    table = Table("way", "CPU ms per 1000", "against ours", title=f"One request, {SIZE} personalizations, nothing sent")
    for name, cost in costs.items():
        table.add_row(name, f"{cost * 1000:.2f}", f"{cost / ours:.1f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
