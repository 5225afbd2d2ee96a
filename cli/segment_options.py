"""The options that narrow a segment, the same at each command that takes one."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Mistake

if TYPE_CHECKING:
    from domain.rules import Rule

With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME=VALUE", help="A parameter of the segment; may be repeated."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="RULE", help='Only those who, such as "spent at least 100"; may be repeated.'),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="SEGMENT", help="But nobody who is in this segment; may be repeated."),
]


def arguments_of(written: list[str] | None) -> dict[str, str]:
    """NAME=VALUE of each. Raises Mistake."""
    arguments: dict[str, str] = {}
    for one in written or []:
        name, equals, value = one.partition("=")
        name = name.strip()
        if not equals or not name:
            raise Mistake("--with: write NAME=VALUE, such as category=toys; `campaigns segments show` names them")
        if name in arguments:
            raise Mistake(f"--with: {name} is given twice")
        arguments[name] = value
    return arguments


def rules_of(written: list[str] | None) -> "tuple[Rule, ...]":
    """Each rule that was written. Raises Mistake."""
    from domain import rules

    try:
        return tuple(rules.parse(one) for one in written or [])
    except rules.RuleError as error:
        raise Mistake(f"--only: {error}") from error
