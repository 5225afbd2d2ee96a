"""The validation gate's verdict, in words for a marketer."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what was found. `failing_ids` are our row ids (a sample), never addresses."""

    sentence: str
    passed: bool
    observed: str = ""
    failing_ids: tuple[str, ...] = ()
    failing_count: int = 0


@dataclass(frozen=True, slots=True)
class Validation:
    """All checks of one gate."""

    gate: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def as_json(self) -> dict[str, Any]:
        """A plain form to store with the run."""
        return {
            "gate": self.gate,
            "passed": self.passed,
            "checks": [
                {
                    "sentence": check.sentence,
                    "passed": check.passed,
                    "observed": check.observed,
                    "failing_ids": list(check.failing_ids),
                    "failing_count": check.failing_count,
                }
                for check in self.checks
            ],
        }
