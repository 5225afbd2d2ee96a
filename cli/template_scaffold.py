"""`campaigns templates new`: a template of your own, begun as a copy of one that is there."""

import re
import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, Mistake, answer

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


def register(app: typer.Typer) -> None:
    """Add this command to those about templates."""
    app.command("new")(new)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and dashes.")],
    like: Annotated[str, typer.Option(help="Begin as a copy of this template.")] = "new-arrivals",
    as_json: AsJson = False,
) -> None:
    """Copy a template into your own folder (OMS_CONTENT_TEMPLATES), with a brand.toml to fill in where there is none.

    A copy under the shipped name stands in its place.
    """
    import settings
    from data import brands, content

    own = settings.without_secrets().content.templates
    if own is None:
        raise Mistake("OMS_CONTENT_TEMPLATES names no folder for templates of your own: set it, such as to templates")
    if not _NAME.fullmatch(name):
        raise Mistake(f"a template's name is lower-case letters, digits and dashes, and got {name[:60]!r}")
    place = own / name
    if place.exists():
        raise Mistake(f"{place} is there already, and was left as it is")
    try:
        own.mkdir(parents=True, exist_ok=True)
        content.load(like, own)
        shutil.copytree(content.folder_of(like, own), place)
        brand = _brand(own, brands.FOLDER)
    except OSError as error:
        raise Mistake(f"{error.filename} cannot be written: {error.strerror}") from error
    files = sorted(str(file) for file in [*place.iterdir(), *brand])
    then = f"`campaigns templates check {name}` and `campaigns templates preview {name} --open`"
    told = [
        *files,
        f"Write into template.toml what it says, into body.html how; then {then}.",
        "Deploy again (`campaigns up`), and a template for campaigns is in the form.",
    ]
    answer({"template": name, "like": like, "files": files}, as_json=as_json, text="\n".join(told))


def _brand(own: Path, shipped: Path) -> list[Path]:
    """The shipped brand with every line commented out, unless the shop has one."""
    place = own / "_brand" / "brand.toml"
    if place.exists():
        return []
    place.parent.mkdir(exist_ok=True)
    lines = (shipped / "_brand" / "brand.toml").read_text("utf-8").splitlines()
    shown = (line if not line or line.startswith(("#", "[")) else f"# {line}" for line in lines)
    place.write_text("\n".join(shown) + "\n", "utf-8")
    return [place]
