"""What a row of the bounce tables is."""

from dataclasses import dataclass

from domain.bounce_causes import Cause


@dataclass(frozen=True, slots=True)
class Row:
    """One wording. `codes`: only beside one of these enhanced codes. `phrases`: any of them."""

    rule: str
    cause: Cause
    source: str
    phrases: tuple[str, ...]
    codes: frozenset[str] = frozenset()


def row(rule: str, cause: Cause, source: str, *phrases: str, codes: str = "") -> Row:
    return Row(rule, cause, source, phrases, frozenset(codes.split()))
