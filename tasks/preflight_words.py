"""A pre-flight in words: an artifact for the Prefect UI, a table for the terminal. No address is in either."""

import re
from collections.abc import Iterable, Sequence

from domain import authentication
from domain.preflight import Light, Line

LIGHTS = {Light.GREEN: "🟢", Light.YELLOW: "🟡", Light.RED: "🔴", Light.GREY: "⚪", Light.BLUE: "🔵"}
_VERDICTS = {
    Light.GREEN: "everything is right",
    Light.BLUE: "everything is right",
    Light.YELLOW: "it may go out; something could be better",
    Light.GREY: "something could not be found out",
    Light.RED: "something is wrong",
}
# What they say under `publish` is for a person, all others give a record or a header as it is to stand.
_ADVISING = frozenset({"connectivity", "sender domain", "rendering", "content", "test message", "headers", "audience"})
_RECORD = re.compile(r"^\S+ (?:TXT|CNAME|MX|A|AAAA|PTR) ")
_NEEDING = frozenset({Light.RED, Light.GREY, Light.YELLOW})
_ORDER = (Light.RED, Light.GREY, Light.YELLOW, Light.GREEN, Light.BLUE)


def headline(worst: Light, refused: Sequence[str], lines: Iterable[Line] = ()) -> str:
    """The whole in one line. Where ESPs were asked and no DNS, which is so of a rehearsal, it says that."""
    if refused:
        return f"{LIGHTS[Light.RED]} A marketing launch is refused"
    areas = {line.area for line in lines}
    rehearsal = "connectivity" in areas and areas.isdisjoint(authentication.ALWAYS_JUDGED)
    told = f"{LIGHTS[worst]} {_VERDICTS[worst][:1].upper()}{_VERDICTS[worst][1:]}"
    return f"{told} (rehearsal: the DNS was not looked at)" if rehearsal else told


def untold(lines: Iterable[Line], refused: Sequence[str]) -> list[str]:
    """The reasons of a refusal that no line tells, so that none is read twice."""
    found = [line.found for line in lines if line.light in _NEEDING]
    return [reason for reason in refused if not any(one in reason for one in found)]


def counted(lines: Iterable[Line]) -> str:
    """How many of each light, the worst first: 🔴 1 fail · 🟢 9 pass."""
    lights = [line.light for line in lines]
    return " · ".join(f"{LIGHTS[one]} {lights.count(one)} {one}" for one in _ORDER if one in lights)


def in_order(lines: Iterable[Line]) -> list[Line]:
    """The worst first, else as they were looked at."""
    return sorted(lines, key=lambda line: _ORDER.index(line.light))


def mends(lines: Iterable[Line]) -> tuple[list[Line], list[Line]]:
    """Lines with something to copy into a DNS panel or a header, and those that say what to do; the worst first."""
    having = [line for line in in_order(lines) if line.publish]
    return [one for one in having if not _advises(one)], [one for one in having if _advises(one)]


def _advises(line: Line) -> bool:
    """Is it for a person, not to be copied? Of what authenticates a domain all that is no record."""
    return line.area in _ADVISING or (line.area in authentication.REQUIRED and not _RECORD.match(line.publish))


def markdown(title: str, lines: Sequence[Line], refused: Sequence[str], worst: Light) -> str:
    """What needs somebody first, each with the record to copy; then a traffic light for everything.

    Prefect's tables do not wrap, and not every machine has the signs: so words stand beside them, long texts above.
    """
    told = [f"# Pre-flight: {title}", "", f"## {headline(worst, refused, lines)}", "", counted(lines), ""]
    needing = [line for line in in_order(lines) if line.light in _NEEDING]
    told += [f"- {_cell(reason)}" for reason in untold(needing, refused)]
    for line in needing:
        told += ["", f"### {_light(line)}: {_cell(line.area)}, {_cell(line.subject)}", "", _sentence(line), ""]
        told += _mend(line)
    told += ["", "## Everything that was looked at", "", "| | What | Of | Found |", "|:--|:--|:--|:--|"]
    for line in in_order(lines):
        told.append(f"| {_light(line)} | {' | '.join(map(_cell, (line.area, line.subject, line.found)))} |")
    return "\n".join(told)


def _light(line: Line) -> str:
    return f"{LIGHTS[line.light]} {line.light}"


def _sentence(line: Line) -> str:
    found = _cell(line.found)
    return f"{found[:1].upper()}{found[1:]}." + (f" *{_cell(line.source)}*" if line.source else "")


def _mend(line: Line) -> list[str]:
    if not line.publish:
        return []
    if _advises(line):
        return [f"To do: **{_cell(line.publish)}**"]
    return ["```text", line.publish.replace("```", "'''"), "```"]


def _cell(text: str) -> str:
    """What the DNS and mail servers say must not break the table, nor be read as markup."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return plain.replace("`", "'").replace("[", "\\[")
