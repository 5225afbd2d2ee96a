"""Pre-flight: what is looked at before the first real mail, each with a light, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Light(StrEnum):
    """How one line of the pre-flight stands. Only RED refuses a marketing launch."""

    GREEN = "pass"
    YELLOW = "warning"
    RED = "fail"
    GREY = "cannot tell"  # the DNS or the ESP did not answer: never taken for pass or fail
    BLUE = "information"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    `area`: connectivity, spf, dkim, dmarc, one-click, ptr, mx, bimi, mta-sts, headers, rendering, content, template.
    `publish`: the exact record or setting that would mend it, ready to be copied; `source`: whose rule it is.
    No address in any of them.
    """

    area: str
    subject: str  # a domain, a template, a provider
    light: Light
    found: str
    publish: str = ""
    source: str = ""


_WORST = (Light.RED, Light.GREY, Light.YELLOW, Light.GREEN, Light.BLUE)


def worst(lines: Iterable[Line]) -> Light:
    """The light of all together; BLUE where there is none."""
    lights = {one.light for one in lines}
    return next((light for light in _WORST if light in lights), Light.BLUE)
