"""The file that `campaigns segments new` writes: it runs, and its examples fail until they are filled in."""

import keyword
from pathlib import Path

from cli.output import Mistake
from domain.features import BY_NAME

_FRAME = '''"""FILL IN: what the segments of this file are about."""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "{name}",
    owner="data-team",
    needs=("orders",),
    inside=[{{"orders": 3}}],
    outside=[{{"orders": 0}}],
)
def {function}(customers: pd.DataFrame, as_of: datetime, *, least: int = 3) -> Members:
    """FILL IN: who is in it, in one sentence that a marketer chooses by.

    least: FILL IN: what the parameter means; take it away where the segment has none
    """
    return customers.orders < 0  # FILL IN: nobody is in it yet
'''

_SELECT = '''"""FILL IN: what the segments of this file are about."""

from datetime import datetime

import sqlalchemy as sa

from segments.population import Shop
from segments.registry import segment


@segment(
    "{name}",
    owner="data-team",
    inside=[[{{"days_ago": 10, "category": "books"}}]],
    outside=[[{{"days_ago": 10, "category": "toys"}}]],
)
def {function}(shop: Shop, as_of: datetime, *, category: str = "books") -> sa.Select[tuple[int]]:
    """FILL IN: who is in it, in one sentence that a marketer chooses by.

    category: FILL IN: what the parameter means; take it away where the segment has none
    """
    line = shop.lines.c
    return sa.select(line.party_id).where(line.quantity < 0)  # FILL IN: nobody is in it yet
'''


def write(name: str, *, is_select: bool) -> Path:
    """Write segments/<name>.py and return its path. Raises Mistake."""
    import segments
    from segments import checks, registry

    if checks.complaints_of_words(name, "somebody"):
        raise Mistake(f"a segment's name is lower-case words joined by dashes, such as lapsed-vip, not {name!r}")
    if name in BY_NAME or name in registry.load() | registry.failing():
        raise Mistake(f"there is {'a feature' if name in BY_NAME else 'a segment'} {name!r} already: take another name")
    function = name.replace("-", "_")
    path = Path(segments.__path__[0]) / f"{function}.py"
    if keyword.iskeyword(function):
        function += "_"
    text = (_SELECT if is_select else _FRAME).format(name=name, function=function)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Mistake(f"there is a file {path} already: take another name, or write the segment into it") from None
    except OSError as error:
        raise Mistake(
            f"{path.parent} cannot be written ({error.strerror}): work in a checkout of the repository, "
            "and install it as it lies there (`make setup`)"
        ) from error
    return path
