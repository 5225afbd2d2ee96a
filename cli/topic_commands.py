"""Commands about topics: what an account's marketing mail may be about, and customers may refuse."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, table

if TYPE_CHECKING:
    from domain.preferences import Topic

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dashes, such as offers.")]


@app.command("add")
def add(
    name: Name,
    title: Annotated[
        list[str],
        typer.Option(metavar="LANGUAGE=TITLE", help="What customers read: en=Offers. Once for each language."),
    ],
    position: Annotated[int, typer.Option(min=0, help="The page lists the lowest first.")] = 0,
    account: store.Account = None,
    as_json: AsJson = False,
) -> None:
    """Add a topic, or give one that is there other titles and another position."""
    from data import accounts, audit_log, database, topics
    from domain.preferences import InvalidTopic, Topic
    from tasks import wiring

    try:
        topic = Topic(name, _titles(title), position)
    except InvalidTopic as error:
        raise Mistake(str(error)) from error
    now = wiring.clock()
    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        own = accounts.get(connection, account_id).language
        topics.add(connection, account_id, topic, now=now)
        audit_log.write(
            connection,
            account_id=account_id,
            actor=store.person(),
            action="topic added",
            subject=f"topic:{name}",
            detail=asdict(topic),
            now=now,
        )
    shown = ", ".join(f"{language}: {text}" for language, text in topic.titles.items())
    text = (
        f"Topic {name} ({shown}). Customers find it on their preference page; `campaigns run --topic {name}` uses it."
    )
    warnings = list(_warnings(topic, own))
    payload = {"account": account_id, **asdict(topic), "warnings": warnings}
    answer(payload, as_json=as_json, text="\n".join([text, *warnings]))


def _warnings(topic: "Topic", own: str | None) -> Iterator[str]:
    """Titles that nobody reads, and which are read in the place of those that are missing. `own`: the account's language."""
    from gateway import texts

    pages = texts.languages()
    shown = {page: topic.title_language(page, own or page) for page in pages}
    for language in sorted(topic.titles.keys() - pages.keys() - set(shown.values())):
        yield f"Nobody reads the title in {language}: the page is written in {', '.join(pages)} only."
    for instead in sorted({one for page, one in shown.items() if one != page}):
        lacking = [page for page, one in shown.items() if one == instead and page != instead]
        names = ", ".join(pages[page] for page in lacking)
        how = " ".join(f"--title {page}=…" for page in lacking)
        yield (
            f"No title in {', '.join(lacking)}: customers whose page is in {names} read {topic.titles[instead]!r}, the title"
            f" in {instead}. Give it too, with all the others: {how}"
        )


def _titles(given: list[str]) -> dict[str, str]:
    titles = {}
    for one in given:
        language, equals, title = one.partition("=")
        if not equals:
            raise Mistake(f"--title needs a language and a title, such as en=Offers, and got {one!r}")
        titles[language.strip()] = title.strip()
    return titles


@app.command("list")
def list_topics(account: store.Account = None, as_json: AsJson = False) -> None:
    """The account's topics in the order of the page, and how many mailboxes refuse each."""
    from data import database, topics

    with database.read(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        found, refused = topics.listing(connection, account_id), topics.refusals(connection, account_id)
    facts: list[dict[str, Any]] = [{**asdict(one), "refused_by": refused.get(one.name, 0)} for one in found]
    rows = [(one.name, one.position, refused.get(one.name, 0), "; ".join(_shown(one.titles))) for one in found]
    empty = "No topics: customers can refuse all marketing mail, or none. `campaigns topics add` adds one."
    heads = ["topic", "position", "refused by", "titles"]
    answer(facts, as_json=as_json, text=table("", heads, rows) if rows else empty)


def _shown(titles: dict[str, str]) -> list[str]:
    return [f"{language}: {title}" for language, title in sorted(titles.items())]


@app.command("remove")
def remove(name: Name, account: store.Account = None, as_json: AsJson = False) -> None:
    """Offer a topic no more. Who refused it stays left out of runs that have it, and again if it is added again."""
    from data import audit_log, database, topics
    from tasks import wiring

    with database.write(store.engine()) as connection:
        account_id = store.account_id(connection, account)
        topics.remove(connection, account_id, name)
        audit_log.write(
            connection,
            account_id=account_id,
            actor=store.person(),
            action="topic removed",
            subject=f"topic:{name}",
            detail={},
            now=wiring.clock(),
        )
    text = f"Topic {name} is offered no more. Refusals of it are kept: add it again, and they hold."
    answer({"account": account_id, "removed": name}, as_json=as_json, text=text)
