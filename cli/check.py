"""What `campaigns doctor` says of one thing that it looked at."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli import mistakes, store

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `warning`: it works, and somebody should look at it."""

    what: str
    ok: bool
    found: str
    warning: bool = False


def usable_engine() -> "sa.Engine | None":
    """None where the check of the database has said already what is wrong with it."""
    try:
        return store.engine()
    except Exception as error:
        if mistakes.line(error) is None:
            raise
        return None
