"""messages.yaml: which change of an order asks for which mail, by account and channel.

messages.example.yaml shows every key. No file asks for nothing: no upgrade begins to mail. A changed file is read anew;
one that cannot be right is refused whole, and orders wait until it is mended (docs/messages.md).
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.triggers import Rules, Step

NONE = "none"
_LONGEST_FRESH = 14 * 24
_TEMPLATE = r"^[a-z0-9][a-z0-9-]{0,59}$"


class UnusableMessages(ValueError):
    """messages.yaml cannot be used. The message says where and why."""


def _said(value: Any) -> Any:
    if value is None or isinstance(value, bool):  # an empty value, or YAML's no and off
        raise ValueError("write the name of a template, or none")
    return value


def _whole(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        raise ValueError("write none, or what differs in this channel")
    return dict.fromkeys(Step, NONE) if value == NONE else value


Since = date | AwareDatetime
Name = Annotated[str, BeforeValidator(_said), Field(pattern=_TEMPLATE)]


class Messages(BaseModel):
    """Which template each step asks for; `none`, like a step that is left out, asks for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    placed: Name = NONE
    paid: Name = NONE
    shipped: Name = NONE
    delivered: Name = NONE
    refunded: Name = NONE
    cancelled: Name = NONE

    def said(self) -> dict[Step, str]:
        """What is written, `none` among it."""
        return {one: getattr(self, one) for one in Step if one in self.model_fields_set}


class ChannelRules(Messages):
    """What differs in one channel."""

    since: Since | None = Field(None, description="where this channel was switched on later than the account")
    not_while: tuple[str, ...] = Field((), description="the channel's words at which an order is none yet")


class AccountRules(BaseModel):
    """What the orders of one account ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Since = Field(description="what happened before asks for nothing; a day begins at midnight UTC")
    fresh_hours: int = Field(48, ge=1, le=_LONGEST_FRESH, description="what happened longer ago asks for nothing")
    receipt_after_minutes: int = Field(60, ge=0, description="a payment sooner than that needs no mail of its own")
    messages: Messages = Messages()
    channels: dict[str, Annotated[ChannelRules, BeforeValidator(_whole)]] = Field(default_factory=dict)

    @property
    def templates(self) -> set[str]:
        """All that are named."""
        return {name for one in (self.messages, *self.channels.values()) for name in one.said().values()} - {NONE}

    def rules(self, channel: str, adapter: str, *, itself: bool) -> Rules:
        """Of one channel: what its adapter's section says, and then its own, over what holds for all.

        `itself`: it mails its customers itself, so what holds for all does not hold for it.
        """
        found, since, waits = {} if itself else self.messages.said(), self.since, frozenset[str]()
        for name in dict.fromkeys((adapter, channel)):
            if (section := self.channels.get(name)) is not None:
                found |= section.said()
                since = section.since or since
                waits |= {word.casefold() for word in section.not_while}
        return Rules(
            _instant(since),
            timedelta(hours=self.fresh_hours),
            {step: name for step, name in found.items() if name != NONE},
            timedelta(minutes=self.receipt_after_minutes),
            waits,
        )


def _instant(since: date | datetime) -> datetime:
    return since if isinstance(since, datetime) else datetime.combine(since, time(), UTC)


class MessageRules(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: dict[str, AccountRules] = Field(default_factory=dict)

    @property
    def templates(self) -> set[str]:
        """All that are named."""
        return {name for one in self.accounts.values() for name in one.templates}

    def rules(self, account_id: str, channel: str, adapter: str = "", *, itself: bool = False) -> Rules | None:
        """What the orders of this channel ask for; None where the file says nothing of the account."""
        found = self.accounts.get(account_id)
        return found.rules(channel, adapter, itself=itself) if found is not None else None


def load(path: Path) -> MessageRules:
    """Read the file; none asks for nothing. A changed file is read anew. Raises UnusableMessages."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return MessageRules()
    except OSError as error:
        raise UnusableMessages(f"{path} cannot be read: {error.strerror}") from error
    return _load(path, (seen.st_mtime_ns, seen.st_size, seen.st_ino))


class _OnceEach(yaml.SafeLoader):
    """YAML lets the last of two equal keys win in silence; here the second is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                problem = f"the key {key.value} stands twice in one section"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


@lru_cache(maxsize=4)
def _load(path: Path, _stamp: tuple[int, int, int]) -> MessageRules:
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableMessages(f"{path} cannot be read: {type(error).__name__}") from error


def parse(text: str, name: str) -> MessageRules:
    """The rules that the text makes; `name` is what errors call it. Raises UnusableMessages."""
    try:
        root = yaml.compose(text, _OnceEach)
        return MessageRules.model_validate(yaml.load(text, _OnceEach) or {})  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise UnusableMessages(f"{name}{place} is no YAML that can be used: {problem}") from None
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False)
        told = "; ".join(dict.fromkeys(_told(one, root) for one in mistakes))
        raise UnusableMessages(f"{name}, {told}. messages.example.yaml shows every key") from None
    except ValueError as error:  # YAML's own: a date such as 2026-13-01
        raise UnusableMessages(f"{name} holds a value that cannot be: {error}") from None


_TOLD = {
    "missing": " must be written: from when on mail is asked for, such as 2026-11-23",
    "model_type": " is a section: keys with their values in it",
    "dict_type": " is a section: keys with their values in it",
    "tuple_type": " is a list, such as [pending]",
    "string_pattern_mismatch": ": a template's name has small letters, digits and hyphens",
    "extra_forbidden": f" is no key that is known there; of an order the steps are {', '.join(Step)}",
}
_INSTANT = ": write a day such as 2026-11-23, or an instant with its zone, such as 2026-11-23T08:00:00Z"
_QUOTES = ": a name that YAML takes for something else, such as no or 12: put it in quotes"


def _told(mistake: Mapping[str, Any], root: yaml.Node | None) -> str:
    """One fault: its line, its key, and what to write there."""
    kind, place = mistake["type"], [str(one) for one in mistake["loc"]]
    place = [one for one in place if not one.startswith(("function-", "date"))]
    if "since" in place and kind != "missing":
        told = _INSTANT
    elif place[-1:] == ["[key]"]:
        told = _QUOTES
    else:
        said = str(mistake["msg"]).removeprefix("Value error, ").replace("Input should", "it should", 1)
        told = _TOLD.get(kind, f": {said}")
    return f"line {_line(root, place)}: {'.'.join(place) or 'the file'}{told}"


def _line(root: yaml.Node | None, place: Sequence[str]) -> int:
    """Where the key stands, or the last of those that lead to it."""
    node, line = root, 1
    for name in place:
        found = next((pair for pair in _pairs(node) if str(pair[0].value) == name), None)
        if found is None:
            break
        node, line = found[1], found[0].start_mark.line + 1
    return line


def _pairs(node: yaml.Node | None) -> Iterator[tuple[Any, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value
