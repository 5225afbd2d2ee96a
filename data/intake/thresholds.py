"""What intake tolerates, by channel and account: data/expectations/intake.yaml, read strictly.

What the file says under `defaults` holds for all, what it says under a channel overlays that, and what it says under an
account and its channel overlays both. docs/intake-gates.md has every key.
"""

import difflib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from domain import money

Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
_NEAR = 0.88  # how alike two names are before one is taken for a slip of the pen of the other


class UnusableThresholds(ValueError):
    """The file cannot be used. The message names the file, the key and what to write there."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """What follows when a rule fires. `row`: the order is refused (a dead letter), or kept and the firing counted.

    `share`: of a batch's orders; where the rule fires on more, the batch is refused. 1: never a reason to.
    """

    row: Literal["refuse", "keep"] = "refuse"
    share: Share = 1.0


class Kept(Rule):
    """A rule that by itself refuses nothing."""

    row: Literal["refuse", "keep"] = "keep"


class Always(Rule):
    """An order that could not be stored, or never be replaced, cannot be kept."""

    row: Literal["refuse"] = "refuse"


class InTheFuture(Always):
    """`days_ahead`: how wrong a shop's clock and zone may be."""

    days_ahead: float = Field(1, strict=True, ge=0, le=30)


class TooOld(Rule):
    """`oldest_year`: of sound orders."""

    oldest_year: int = Field(1995, strict=True, ge=1970, le=2100)


class TotalMismatch(Kept):
    """`tolerance`: a share of the total, for tips, fees and roundings."""

    tolerance: float = Field(0.02, strict=True, ge=0, le=1)


class CurrencyForeign(Kept):
    """`allowed`: currencies beside the account's own."""

    allowed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> "CurrencyForeign":
        if wrong := [code for code in self.allowed if code not in money.CURRENCIES]:
            raise PydanticCustomError("currency", "{code} is no ISO 4217 currency such as EUR", {"code": wrong[0]})
        return self


class Rules(BaseModel):
    """The rules of data/intake/rules.py by name, and those words of adapters (Unfit.rule) that the file names."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Rule]

    in_the_future: InTheFuture = InTheFuture()
    too_old: TooOld = TooOld()
    email_missing: Kept = Kept()
    email_invalid: Kept = Kept()
    country_missing: Kept = Kept()
    consent_without_source: Rule = Rule()
    without_lines: Rule = Rule()
    line_number_twice: Always = Always()
    line_twice: Kept = Kept()
    sku_missing: Kept = Kept()
    quantity_zero: Kept = Kept()
    total_mismatch: TotalMismatch = TotalMismatch()
    refunded_above_total: Rule = Rule()
    negative_total: Rule = Rule()
    currency_unknown: Rule = Rule()
    currency_foreign: CurrencyForeign = CurrencyForeign()
    test_order: Kept = Kept()

    @model_validator(mode="after")
    def _of_adapters(self) -> "Rules":
        for name, rule in (self.__pydantic_extra__ or {}).items():
            if near := difflib.get_close_matches(name, type(self).model_fields, n=1, cutoff=_NEAR):
                said = {"name": name, "near": near[0]}
                raise PydanticCustomError("rule", "there is no rule {name}: did you mean {near}?", said)
            if rule.row == "keep":
                told = "{name} is an adapter's rule: where it fires there is no order to keep; write row: refuse"
                raise PydanticCustomError("rule", told, {"name": name})
        return self


def _or_nothing(value: Any) -> Any:
    """A section's heading with nothing under it says nothing."""
    return {} if value is None else value


class _Part(_Strict):
    """What one section says; what it leaves unsaid is as in the section above it."""

    refuse_share: Share = 0.05
    of_at_least: int = Field(200, strict=True, ge=1)
    within_hours: int = Field(24, strict=True, ge=1, le=24 * 366)
    rules: Annotated[Rules, BeforeValidator(_or_nothing)] = Rules()


_Section = Annotated[_Part, BeforeValidator(_or_nothing)]
_Sections = Annotated[dict[str, _Section], BeforeValidator(_or_nothing)]


class _File(_Strict):
    defaults: _Section = _Part()
    channels: _Sections = {}
    accounts: Annotated[dict[str, _Sections], BeforeValidator(_or_nothing)] = {}


@dataclass(frozen=True, eq=False, slots=True)
class Thresholds:
    """What holds for one channel of one account. A book gives the same object each time: it can be a key.

    `refuse_share`: of the orders; where more are refused, the batch is. It takes `of_at_least` orders to judge by, of
    the last `within_hours` hours where a batch alone has fewer.
    """

    refuse_share: float
    of_at_least: int
    within_hours: int
    rules: Rules

    def rule(self, name: str) -> Rule:
        """What follows when that rule fires. One that the file does not name refuses the order and no batch."""
        found = getattr(self.rules, name, None)
        return found if isinstance(found, Rule) else Rule()

    def shares(self) -> dict[str, float]:
        """The rules that may be a reason to refuse a batch, each with the share that it may fire on."""
        declared = {name: self.rule(name) for name in (*Rules.model_fields, *(self.rules.model_extra or {}))}
        return {name: rule.share for name, rule in declared.items() if rule.share < 1}


class ThresholdBook:
    """The whole file."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._known: dict[tuple[str, str, str], Thresholds] = {}

    def of(self, account_id: str, channel: str, adapter: str = "") -> Thresholds:
        """What holds for that channel of that account. `adapter`: who reads the channel, if the names differ.

        A section of the adapter's name (shopify) holds for all channels that it reads (shopify-de, shopify-fr).
        """
        key = (account_id, channel, adapter)
        if key not in self._known:
            said = self._file.defaults.model_dump(exclude_unset=True)
            for name in dict.fromkeys((adapter, channel)):
                said = _overlaid(said, self._file.channels.get(name, _Part()).model_dump(exclude_unset=True))
            part = _Part.model_validate(_overlaid(said, self.section(account_id, channel)))
            self._known[key] = Thresholds(part.refuse_share, part.of_at_least, part.within_hours, part.rules)
        return self._known[key]

    def section(self, account_id: str, channel: str) -> dict[str, Any]:
        """What the file says of just this account and channel."""
        part = self._file.accounts.get(account_id, {}).get(channel, _Part())
        return part.model_dump(mode="json", exclude_unset=True)


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _overlaid(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return result


def load(path: Path) -> ThresholdBook:
    """Read the file; a changed one is read anew. Raises UnusableThresholds."""
    try:
        return _load(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UnusableThresholds(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=4)
def _load(path: Path, _stamp: int) -> ThresholdBook:
    return parse(path.read_bytes(), str(path))


def parse(text: str | bytes, name: str) -> ThresholdBook:
    """The book that the text makes; `name` is what errors call it. Raises UnusableThresholds."""
    try:
        return ThresholdBook(_File.model_validate(_or_nothing(_Loader(text).get_single_data())))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise UnusableThresholds(
            f"{name}{place} is no YAML that can be used: {problem or 'it is not UTF-8'}"
        ) from error
    except ValidationError as error:
        told = "; ".join(_told(one) for one in error.errors(include_url=False))
        raise UnusableThresholds(f"{name}: {told}") from error


class _Loader(yaml.SafeLoader):
    """As safe, and a key that stands twice is an error: YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"the key {key.value} stands twice in one section: put both under one"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _told(error: ErrorDetails) -> str:
    """One fault: the key, and what to write there."""
    key, kind = ".".join(map(str, error["loc"])) or "the file", error["type"]
    if kind == "extra_forbidden":
        return f"{key} is no key that is known; docs/intake-gates.md has them all"
    if kind in ("less_than_equal", "greater_than_equal") and error["loc"][-1] in ("share", "refuse_share"):
        return f"{key} is a share from 0 to 1: write 0.05 for 5 %"
    if kind == "literal_error" and error.get("ctx", {}).get("expected") == "'refuse'":
        return f"{key} can only be refuse: such an order could not be stored or never be replaced"
    if kind == "model_type":
        return f"{key} is a section: write keys with their values in it, such as {{row: keep}} for a rule"
    if error["loc"][-1:] == ("[key]",):
        return f"{key}: a name that YAML takes for something else, such as no or 12: put it in quotes"
    return f"{key}: {error['msg'].replace('Input should', 'it should', 1)}"
