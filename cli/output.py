"""How commands answer: text for people, JSON for programs, one clear line for a mistake."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
console = Console(highlight=False, soft_wrap=True)
_GAP = "  "
_NARROWEST = 30


class Mistake(ValueError):
    """What the user asked for cannot be done; the message is the one line that is shown."""


def json_text(payload: Any) -> str:
    """Any of our answers as indented JSON."""
    return orjson.dumps(payload, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> str:
    if isinstance(value, (Decimal, Path)):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def answer(payload: Any, *, as_json: bool, text: str) -> None:
    """Print the one or the other."""
    if as_json:
        sys.stdout.write(json_text(payload) + "\n")
        sys.stdout.flush()  # here, where a reader that went away is met by Typer
    else:
        console.print(text, markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lines whose columns stand below each other, numbers to the right.

    Only the last column is folded, and only on a terminal: ids can be copied and lines can be searched.
    """
    rows = list(rows)
    cells = [[name.upper() for name in columns], *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    indent = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    lines = [title] if title else []
    for row in cells:
        *others, last = map(_padded, row, widths, right)
        lines.append((_GAP.join([*others, ""]) + _folded(last, indent)).rstrip())
    return "\n".join(lines)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in {"", "–"} or value.endswith("%")
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _folded(text: str, indent: int) -> str:
    room = console.width - indent
    if not console.is_terminal or room < _NARROWEST or cell_len(text.rstrip()) <= room:
        return text
    return f"\n{' ' * indent}".join(textwrap.wrap(text, room))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return moment(value)
    return "".join(character if character.isprintable() else " " for character in str(value))


def moment(at: datetime) -> str:
    """An instant for people. All times of this command are UTC; the zone is said once, where there is room."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
