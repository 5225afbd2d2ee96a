"""Connections: which shop sells where, with which secrets. One file, channels.yaml, that is never committed.

channels.example.yaml shows every key. A connection's `channel` is the name under which its orders are kept (two shops
on one platform are two channels, `shopify-de` and `shopify-fr`); `adapter` says who can read it.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from data.channels.api import Access

_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"


class UnusableConnections(ValueError):
    """channels.yaml cannot be used. The message says where and why; it repeats no value."""


class UnknownConnection(LookupError):
    """No connection of that channel and account; the message names those there are."""


class Connection(BaseModel):
    """One source of orders of one account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str = Field(min_length=1)
    channel: str = Field(pattern=_NAME, description="the name under which its orders are kept")
    adapter: str = Field("", description="who reads it; the channel's own name unless given")
    mapping: Path | None = Field(
        None,
        description="YAML file that says what means what, for adapter mapped; beside channels.yaml if not absolute",
    )
    timezone: str = Field("UTC", description="zone of times that come without one")
    numbering: str | None = Field(
        None, description="whose customer numbers it uses; equal names mean equal numbers, empty the shop's own"
    )
    webhook_secrets: tuple[SecretStr, ...] = Field((), description="any of them may have signed: for rotation")
    api: Access | None = None
    silent_after_hours: float | None = Field(
        None,
        ge=0,
        description="an alarm after so many hours without an order; unless given by its own rhythm, 0: never",
    )
    options: dict[str, Any] = {}

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (LookupError, OSError, ValueError) as error:
            raise ValueError("needs a name such as Europe/Berlin") from error
        return name

    @property
    def reader(self) -> str:
        """The adapter's name."""
        return self.adapter or self.channel


class Connections(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: tuple[Connection, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> "Connections":
        pairs = [(one.account, one.channel) for one in self.connections]
        if twice := {pair for pair in pairs if pairs.count(pair) > 1}:
            raise ValueError(f"there twice: {', '.join(f'{channel} of {account}' for account, channel in twice)}")
        return self

    def find(self, account: str, channel: str) -> Connection | None:
        """The connection of that account and channel."""
        return next((one for one in self.connections if (one.account, one.channel) == (account, channel)), None)


def load(path: Path) -> Connections:
    """Read the file; none means no connections. A changed file is read anew. Raises UnusableConnections."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return Connections()
    except OSError as error:
        raise UnusableConnections(f"{path} cannot be read: {error.strerror}") from error
    return _load(path, (seen.st_mtime_ns, seen.st_size, seen.st_ino))


@lru_cache(maxsize=4)
def _load(path: Path, _stamp: tuple[int, int, int]) -> Connections:
    try:
        found = Connections.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableConnections(f"{path} cannot be read: {type(error).__name__}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise UnusableConnections(
            f"{path} is no YAML{place}"
        ) from None  # its text quotes the line, and secrets with it
    except ValidationError as error:
        told = "; ".join(map(_told, error.errors(include_input=False, include_context=False)))
        raise UnusableConnections(f"{path}: {told}. channels.example.yaml shows every key") from None
    at_home = [
        one.model_copy(update={"mapping": path.parent / one.mapping}) if one.mapping else one
        for one in found.connections
    ]
    return Connections(connections=tuple(at_home))


def _told(mistake: Any) -> str:
    place = ".".join(map(str, mistake["loc"])) or "the file"
    if mistake["type"] == "string_type":
        return f"{place}: write it in quotes"  # 2026-01-01 is a date to YAML, 12345 a number
    return f"{place}: {mistake['msg']}"
