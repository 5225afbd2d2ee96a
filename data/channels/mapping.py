"""The declared mapping: what means what in a shop's own files, in YAML. docs/connect-your-own-system.md explains it.

All scalars of the YAML are taken as text, so `NO` is Norway, `007` keeps its zeros and `1.10` its last one.
"""

import difflib
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data.channels import csv_rows, mapping_source, mapping_values
from data.channels.channel import Unreadable
from data.channels.mapping_fields import (
    ConsentFields,
    CustomerFields,
    EventFields,
    LineFields,
    OrderFields,
    RefundFields,
    Section,
)
from data.channels.mapping_source import Several

_ASCII = "".join(map(chr, range(128)))


class UnusableMapping(ValueError):
    """The mapping cannot be used. The message names the file, the key, and what to write there."""


class Mapping(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["csv", "json"]
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Several = Field(("utf-8",), min_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    zone: str | None = None
    orders_at: str = Field("", description="JSON: where a document keeps its list of orders")
    group_by: Several = ()
    credits_are: Literal["negative", "positive"] = "negative"
    round: Literal["", "half_up", "half_even"] = ""
    order: OrderFields
    customer: CustomerFields = CustomerFields()
    consent: ConsentFields | None = None
    line: LineFields | None = None
    refunds: RefundFields | None = None
    events: tuple[EventFields, ...] = ()

    @field_validator("encoding")
    @classmethod
    def _encodings(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                plain = _ASCII.encode(name) == _ASCII.encode()
            except LookupError:
                plain = False
            if not plain:
                raise ValueError(f"{name!r} is none that can be read: write utf-8, latin-1, cp1252 or iso-8859-15")
        return names

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        if name is not None:
            mapping_source.zone_of(name)
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        lists = [place for place, _ in self._lists()]
        if self.format == "csv" and (lists or self.orders_at):
            raise ValueError(f"{(lists or ['orders_at'])[0]}: a CSV row has no lists")
        if self.group_by and self.line is not None and self.line.list:
            raise ValueError("line.list: with `group_by` each row is a line; leave one of the two out")
        if self.group_by and self.line is None:
            raise ValueError("line: with `group_by` each row is a line; say where its fields are")
        if self.order.total.computed is not None and self.line is None:
            raise ValueError("order.total: sum_of_lines needs `line`")
        if self.thousands == self.decimal:
            raise ValueError("thousands: is the decimal sign already")
        return self

    def _lists(self) -> Iterator[tuple[str, str]]:
        parts: dict[str, LineFields | RefundFields | EventFields | None]
        parts = {"line.list": self.line, "refunds.list": self.refunds}
        parts |= {f"events.{number}.list": event for number, event in enumerate(self.events)}
        return ((place, part.list) for place, part in parts.items() if part is not None and part.list)

    def layout(self, line: bytes) -> csv_rows.Layout:
        """How to read the rows of a CSV file below that header. Raises Unreadable with all columns that are missing."""
        names = csv_rows.header(line, self.delimiter, self.encoding)
        if not any(names):
            raise Unreadable("the file is empty")
        used = [*self._columns()]
        wrong = [
            f"{ours} is read from {' or '.join(map(repr, paths))}, which is no column{_nearest(paths[0], names)}"
            for ours, paths in used
            if not set(paths) & set(names)
        ]
        wanted = {path for _, paths in used for path in paths}
        wrong += [f"column {name!r} is there twice" for name in sorted(wanted) if names.count(name) > 1]
        if wrong:
            raise Unreadable(f"{'; '.join(wrong)} (is `delimiter` right?)" if len(names) == 1 else "; ".join(wrong))
        key = next((names.index(name) for name in self.group_by if name in names), None)
        return csv_rows.Layout(_unique(names), key, self.delimiter, self.encoding, strict=False)

    def _columns(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """All columns that are read, by what for."""
        if self.group_by:
            yield "group_by", self.group_by
        parts: dict[str, Section | None] = {
            "order": self.order,
            "customer": self.customer,
            "consent": self.consent,
            "line": self.line,
            "refunds": self.refunds,
        }
        parts |= {f"events.{number}": event for number, event in enumerate(self.events)}
        for place, part in parts.items():
            yield from ((f"{place}.{name}", one.path) for name, one in (part.sources() if part else ()) if one.path)
        for skip in (*self.order.skip_when, *(self.line.skip_when if self.line else ())):
            yield from (("skip_when", condition.path) for condition in skip.where)

    def key(self, row: Any) -> str | None:
        """Which order a row belongs to, by `group_by`; None where that cannot be told."""
        for path in self.group_by:
            if text := mapping_values.text_of(mapping_values.at(row, path)):
                return text
        return None

    def orders_in(self, document: Any) -> list[Any]:
        """The raw orders (or rows) of one JSON document: itself, its elements, or what stands at `orders_at`."""
        if self.orders_at and isinstance(document, dict):
            document = mapping_values.at(document, self.orders_at)
            if document is None:
                raise Unreadable(f"there is nothing at {self.orders_at}, where `orders_at` says that the orders are")
        return document if isinstance(document, list) else [document]

    @cached_property
    def own_zone(self) -> ZoneInfo | None:
        """The zone of times without one, where the mapping says it."""
        return None if self.zone is None else ZoneInfo(self.zone)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Columns that nobody reads may be there twice or have no name; as keys of a row they need one."""
    return tuple(name if names.index(name) == place else f"{name} ({place + 1})" for place, name in enumerate(names))


def _nearest(path: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(path, names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def load(path: Path) -> Mapping:
    """Read the mapping; a changed file is read anew. Raises UnusableMapping."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise UnusableMapping(f"{path} cannot be read: {error.strerror}") from error
    return _load(path, stamp)


@lru_cache(maxsize=64)
def _load(path: Path, _stamp: int) -> Mapping:
    try:
        # Safe: this loader makes texts, lists and dicts only.
        given = yaml.load(path.read_text("utf-8-sig"), _Loader)  # noqa: S506
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableMapping(f"{path} cannot be read: {type(error).__name__}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None)
        raise UnusableMapping(f"{path} is no YAML{place}: {problem or 'look there'}") from error
    if not isinstance(given, dict):
        raise UnusableMapping(f"{path} is empty or no list of keys: docs/mappings has complete examples")
    try:
        return Mapping.model_validate(given)
    except ValidationError as error:
        raise UnusableMapping(f"{path}: {'; '.join(_told(one) for one in error.errors())}") from error


class _Loader(yaml.BaseLoader):
    """Everything is text, a list or a dict; a key that stands twice is a mistake, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises ConstructorError."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be a word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _told(error: Any) -> str:
    """What is wrong at which key, and what to write there."""
    place = ".".join(str(part) for part in error["loc"])
    at = f"{place}: " if place else ""
    if error["type"] == "missing":
        return f"{at}has to be there"
    if error["type"] == "extra_forbidden":
        known = _known(error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"{at}is no key (did you mean {near[0]!r}?)" if near else f"{at}is no key; there are {', '.join(known)}"
    if error["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return f"{at}needs keys below it, not a text"
    return f"{at}{error['msg'].removeprefix('Value error, ')}"


def _known(place: Sequence[Any]) -> list[str]:
    """The keys that may stand at a place of the file."""
    kind: Any = Mapping
    for part in place:
        if isinstance(part, str) and issubclass(kind, BaseModel):
            kind = _model_in(kind.model_fields[part].annotation)
    return sorted(kind.model_fields)


def _model_in(annotation: Any) -> Any:
    """The model in an annotation such as `Source | None` or `tuple[EventFields, ...]`."""
    models = [
        one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, BaseModel)
    ]
    return models[0]
