"""The command `segments explain`: is she in, and would she get the mail?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

import settings
from cli import explain_command, store
from cli.output import AsJson, answer, moment, table
from cli.segment_options import Only, With, Without, arguments_of, rules_of

if TYPE_CHECKING:
    from tasks.explaining import Explanation


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("explain")(explain)


def explain(
    name: Annotated[
        str, typer.Argument(metavar="SEGMENT", help='A name, or an expression such as "vip and not lapsed".')
    ],
    customer: Annotated[
        str, typer.Option(metavar="NUMBER", help="The customer's number in the shop, or CHANNEL/NUMBER.")
    ],
    arguments: With = None,
    only: Only = None,
    without: Without = None,
    topic: Annotated[str | None, typer.Option(help="What the mail would be about.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Whose holdout is drawn too.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the campaign's draw.")] = 1,
    holdout_percent: Annotated[int, typer.Option(min=0, max=50, help="So many percent get no mail.")] = 0,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Whether a customer is in a segment, condition by condition, and would get a mail now: each stage in its order.

    The audit log notes who asked.
    """
    from data import database, message_fate, topics
    from tasks import explaining, wiring

    engine = store.engine()
    asked = explaining.Asked(
        segment=name,
        arguments=arguments_of(arguments),
        rules=rules_of(only),
        without=tuple(without or ()),
        topic=topic,
        campaign=campaign,
        seed=seed,
        holdout_percent=holdout_percent,
    )
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
        if topic is not None:
            topics.check(connection, account_id, topic)
        party = explain_command.only_one(message_fate.persons(connection, account_id, customer), customer, account_id)
    found = explaining.customer(engine, account_id, party, asked, policy=settings.load().sending, now=wiring.clock())
    store.note_reading(engine, account_id, f"party:{party}", {"segment": name})
    answer(_payload(name, customer, found), as_json=as_json, text=_text(customer, found))


def _payload(name: str, customer: str, found: "Explanation") -> dict[str, Any]:
    return {
        "segment": name,
        "customer": customer,
        "in_segment": found.in_segment,
        "as_of": found.as_of,
        "asked": found.segment,
        "conditions": found.conditions,
        "code": [{"condition": condition, "code": code} for condition, code in found.code],
        "stages": found.stages,
        "would_get_it": found.gets_it,
        "because": found.because,
    }


def _text(customer: str, found: "Explanation") -> str:
    from tasks import explaining

    where = f"{'in' if found.in_segment else 'not in'} {found.segment}"
    head = f"Customer {customer} is {where}, as of {moment(found.as_of)} UTC."
    verdict = f"Would get it: {'yes' if found.gets_it else 'no'}, because: {found.because}."
    stages = table("If a mail were to go now", ["stage", "", "what is on record"], explaining.said(found.stages))
    return "\n\n".join(["\n".join([head, *(f"  {line}" for line in found.conditions)]), stages, verdict])
