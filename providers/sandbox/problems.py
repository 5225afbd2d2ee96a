"""Errors in SendGrid's shape: `{"errors": [{"message", "field", "help"}]}`."""

from collections.abc import Iterable
from dataclasses import dataclass

_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong. Without a field there is no help either."""

    message: str
    field: str | None = None

    def as_json(self) -> dict[str, str | None]:
        if self.field is None:
            return {"message": self.message, "field": None, "help": None}
        topic = ".".join(part for part in self.field.split(".") if not part.isdigit())
        return {"message": self.message, "field": self.field, "help": _HELP + topic}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, *violations: Violation) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.violations = violations


def body(violations: Iterable[Violation]) -> dict[str, list[dict[str, str | None]]]:
    """The JSON of an error answer."""
    return {"errors": [violation.as_json() for violation in violations]}
