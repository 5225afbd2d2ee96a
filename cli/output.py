"""How commands answer: text for people, JSON for programs, one clear line for a mistake."""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
console = Console(highlight=False, soft_wrap=True)


class Mistake(ValueError):
    """What the user asked for cannot be done; the message is the one line that is shown."""


def json_text(payload: Any) -> str:
    """Any of our answers as indented JSON."""
    return orjson.dumps(payload, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (Decimal, Path, StrEnum)):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (frozenset, set, tuple)):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def answer(payload: Any, *, as_json: bool, text: str | Table) -> None:
    """Print the one or the other."""
    if as_json:
        sys.stdout.write(json_text(payload) + "\n")
    else:
        console.print(text, markup=False) if isinstance(text, str) else console.print(text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table whose numbers stand to the right."""
    rows = list(rows)
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[place], (int, float)) or row[place] is None for row in rows)
        made.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)
