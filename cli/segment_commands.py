"""Commands about segments: list, show, preview."""

from typing import Annotated

import typer

from cli import store
from cli.output import AsJson, Mistake, answer, moment, table
from domain.features import Feature

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="SEGMENT", help="The segment's name; `campaigns segments list` has all.")]


@app.command("list")
def list_segments(as_json: AsJson = False) -> None:
    """All segments, with their owners."""
    from segments import registry

    found = [
        {"name": one.name, "owner": one.owner, "needs": list(one.needs), "description": one.description}
        for one in registry.load().values()
    ]
    rows = [(one["name"], one["owner"], one["description"]) for one in found]
    answer(found, as_json=as_json, text=table("", ["name", "owner", "who is in it"], rows))


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
    needs = table("It looks at", ["feature", "unit", "meaning"], [_feature(BY_NAME[need]) for need in one.needs])
    examples = [("in", example) for example in one.inside] + [("out", example) for example in one.outside]
    rows = [(side, *(example[need] for need in one.needs)) for side, example in examples]
    text = (
        f"{one.name}: {one.description}\nOwner: {one.owner}. Defined in {one.file}:{one.line}.\n\n"
        f"{needs}\n\n{table('Examples', ['', *one.needs], rows)}"
    )
    answer(payload, as_json=as_json, text=text)


def _feature(feature: Feature) -> tuple[str, str, str]:
    return feature.name, feature.unit, feature.meaning


@app.command("preview")
def preview(name: Name, account: store.Account = None, as_json: AsJson = False) -> None:
    """How many customers are in it now. Nobody is named."""
    from data import database
    from data.features import frame
    from segments import registry

    segment = registry.get(name)
    engine = store.engine()
    with database.read(engine) as connection:
        account_id = store.account_id(connection, account)
        as_of = frame.watermark(connection, account_id)
    if as_of is None:
        raise Mistake(f"account {account_id!r} has no customer features yet: `campaigns features refresh` makes them")
    customers = frame.read_frame(engine, account_id=account_id, columns=segment.needs)
    inside = int(segment.evaluate(customers, as_of).sum())
    share = inside / len(customers) if len(customers) else 0.0
    payload = {"segment": name, "members": inside, "customers": len(customers), "share": share, "as_of": as_of}
    text = f"{inside:,} of {len(customers):,} customers ({share:.1%}) are in {name}, as of {moment(as_of)} UTC."
    answer(payload, as_json=as_json, text=text)
