"""Where one of our fields comes from in a shop's own raw order, and how what stands there is read.

Everything that cannot be read is an Unfit that names our field and their path, and repeats nothing of the content.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from data.channels import mapping_values
from data.channels.channel import Unfit
from data.channels.mapping_values import ISO, MILLISECONDS, SECONDS, Kind, Terms

REFUSE, NOTHING = "refuse", "null"


def as_list(value: Any) -> Any:
    """One or several in YAML, several here."""
    return (value,) if isinstance(value, str) else value


Several = Annotated[tuple[str, ...], BeforeValidator(as_list)]


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise ValueError("write the name of a zone, such as Europe/Berlin") from error


def pattern_of(text: str) -> re.Pattern[str]:
    """The regular expression. Raises ValueError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error


class Source(BaseModel):
    """The source of one of our fields: a path (or the first of several that holds something), or a constant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Several = ()
    value: str | None = None
    computed: Literal["sum_of_lines", "quantity_times_unit_price"] | None = None
    type: Kind | None = None
    format: Several = Field((), description="of times: strptime formats, iso, unix or unix_ms; tried one by one")
    zone: str | None = None
    words: dict[str, str] = Field({}, description="their word → ours, in any case of letters")
    match: dict[str, str] = Field({}, description="regular expression → our word; the first that fits")
    otherwise: str = Field(REFUSE, description="what all other words mean: refuse, null or one of our words")
    negate: bool = False
    absolute: bool = False
    of_rows: Literal["same", "first", "last", "min", "max"] = "same"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str | list) else given

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if bool(self.path) + (self.value is not None) + (self.computed is not None) != 1:
            raise ValueError("write either `path` (where it stands) or `value` (a constant)")
        if self.words and self.match:
            raise ValueError("write either `words` or `match`")
        if "otherwise" in self.model_fields_set and not (self.words or self.match):
            raise ValueError("`otherwise` belongs to `words` or `match`")
        return self

    @field_validator("words")
    @classmethod
    def _folded(cls, words: dict[str, str]) -> dict[str, str]:
        return {theirs.strip().casefold(): ours for theirs, ours in words.items()}

    @field_validator("match")
    @classmethod
    def _patterns(cls, match: dict[str, str]) -> dict[str, str]:
        for pattern in match:
            pattern_of(pattern)
        return match

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        if name is not None:
            zone_of(name)
        return name

    @field_validator("format")
    @classmethod
    def _formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for one in formats:
            if one not in {ISO, SECONDS, MILLISECONDS} and "%" not in one:
                raise ValueError(f"{one!r} is no format: write iso, unix, unix_ms or such as %d.%m.%Y %H:%M")
        return formats

    @property
    def translates(self) -> bool:
        """Does it turn their words into ours?"""
        return bool(self.words or self.match)

    def our_words(self) -> set[str]:
        """All of our words that it may give."""
        if not self.translates:
            return {self.value} if self.value is not None else set()
        return {*self.words.values(), *self.match.values(), self.otherwise} - {REFUSE, NOTHING}

    def unfit(self, ours: str, what: str, sentence: str) -> Unfit:
        """What is wrong with our field, and where it was read."""
        place = f" ({' or '.join(self.path)})" if self.path else ""
        return Unfit(f"{ours.rpartition('.')[2]}_{what}", f"{ours}{place} {sentence}", self.path)

    def found(self, row: Any) -> Any:
        """What stands in the row: of several paths at the first that holds something. None where nothing does."""
        if self.value is not None:
            return self.value
        for path in self.path:
            value = mapping_values.at(row, path)
            if value is not None and value != "" and not (isinstance(value, str) and value.isspace()):
                return value
        return None

    def read(self, ours: str, rows: Sequence[Any], kind: Kind, terms: Terms) -> Any:
        """Our field's value, or None where no row says anything. Rows that leave it empty do not count."""
        raws: list[Any] = []
        for row in rows:
            raw = self.found(row)
            if raw is not None and (not raws or raw not in raws):
                raws.append(raw)
        if self.of_rows in {"first", "last"} and raws:
            raws = [raws[0] if self.of_rows == "first" else self.found_last(rows)]
        values = [self._value(ours, raw, kind, terms) for raw in raws or [None]]
        if len(values) == 1:
            return values[0]
        said = [value for value in dict.fromkeys(values) if value is not None]
        if self.of_rows == "same" and len(said) > 1:
            sentence = "differs from row to row: `of_rows` (first, last, min, max) says which one counts"
            raise self.unfit(ours, "differs", sentence)
        pick: Callable[..., Any] = max if self.of_rows == "max" else min
        return pick(said, default=None)

    def found_last(self, rows: Sequence[Any]) -> Any:
        """What the last row says that says anything."""
        return next((raw for row in reversed(rows) if (raw := self.found(row)) is not None), None)

    def required(self, ours: str, rows: Sequence[Any], kind: Kind, terms: Terms) -> Any:
        """The same, and it must be there."""
        value = self.read(ours, rows, kind, terms)
        if value is None:
            raise self.unfit(ours, "missing", "is empty, and an order cannot do without it")
        return value

    def _value(self, ours: str, raw: Any, kind: Kind, terms: Terms) -> Any:
        try:
            if self.translates:
                raw = self._word(raw)
            if raw is None:
                return None
            value = mapping_values.READERS[self.type or kind](raw, self._terms(terms), self.format)
        except Unfit as fault:
            what = fault.rule.removeprefix("value_")
            raise self.unfit(ours, what, str(fault).removeprefix("value ")) from fault
        if value is not None and (self.negate or self.absolute):
            value = abs(value) if self.absolute else -value
        return value

    def _terms(self, terms: Terms) -> Terms:
        return terms if self.zone is None else terms._replace(zone=zone_of(self.zone))

    def _word(self, raw: Any) -> str | None:
        told = mapping_values.text_of(raw)
        word = self.words.get(told.casefold())
        if word is None and self.match:
            word = next((ours for pattern, ours in self.match.items() if re.search(pattern, told)), None)
        if word is None:
            word = NOTHING if raw is None and self.otherwise == REFUSE else self.otherwise
        if word == REFUSE:
            raise mapping_values.wrong(
                "unknown", f"is a word that `{'words' if self.words else 'match'}` does not have: add it"
            )
        return None if word == NOTHING else word
