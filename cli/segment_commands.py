"""Commands about segments: list, show, preview."""

from typing import Annotated

import typer

import settings
from cli.output import AsJson, Mistake, answer, table

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The segment's name.")]


@app.command("list")
def list_segments(as_json: AsJson = False) -> None:
    """All segments, with their owners."""
    from segments import registry

    found = [
        {"name": one.name, "owner": one.owner, "needs": list(one.needs), "description": one.description}
        for one in registry.load().values()
    ]
    rows = [(one["name"], one["owner"], str(one["description"]).splitlines()[0]) for one in found]
    answer(found, as_json=as_json, text=table("Segments", ["name", "owner", "what it means"], rows))


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """One segment: its meaning, its columns, who would be in and who would not."""
    from domain.features import BY_NAME
    from segments import registry

    one = registry.get(name)
    payload = {
        "name": one.name,
        "owner": one.owner,
        "description": one.description,
        "needs": list(one.needs),
        "inside": list(one.inside),
        "outside": list(one.outside),
        "definition_hash": one.definition_hash,
        "defined_in": f"{one.file}:{one.line}",
    }
    needs = "\n".join(f"  {need}: {BY_NAME[need].meaning} ({BY_NAME[need].unit})" for need in one.needs)
    text = (
        f"{one.name}  ({one.owner}, {one.file}:{one.line})\n\n{one.description}\n\nIt looks at\n{needs}\n\n"
        f"In, for example:  {_examples(one.inside)}\nNot in:           {_examples(one.outside)}"
    )
    answer(payload, as_json=as_json, text=text)


def _examples(examples: object) -> str:
    return "; ".join(
        ", ".join(f"{name} {value}" for name, value in example.items())
        for example in examples  # type: ignore[attr-defined]  # registry's tuple of mappings
    )


@app.command("preview")
def preview(
    name: Name,
    account: Annotated[str | None, typer.Option(help="Which account.")] = None,
    as_json: AsJson = False,
) -> None:
    """How many customers are in it now. Nobody is named."""
    from data import database
    from data.features import frame
    from segments import registry
    from tasks import wiring

    segment = registry.get(name)
    account_id = account or settings.load().account
    with database.read(wiring.engine()) as connection:
        as_of = frame.watermark(connection, account_id)
    if as_of is None:
        raise Mistake(f"account {account_id!r} has no customer features yet: `campaigns features refresh` makes them")
    customers = frame.read_frame(wiring.engine(), account_id=account_id, columns=segment.needs)
    inside = int(segment.evaluate(customers, as_of).sum())
    share = inside / len(customers) if len(customers) else 0.0
    payload = {"segment": name, "members": inside, "customers": len(customers), "share": share, "as_of": as_of}
    text = f"{inside:,} of {len(customers):,} customers ({share:.1%}) are in {name}, as of {as_of:%Y-%m-%d %H:%M} UTC."
    answer(payload, as_json=as_json, text=text)
