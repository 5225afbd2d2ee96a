"""The parts of a mapping: which of our fields there are, how each is read, and which words are ours."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data.channels import mapping_source, mapping_values
from data.channels.mapping_source import Several, Source
from data.channels.mapping_values import Kind
from domain.consent import ConsentStatus
from domain.orders import OrderKind, OrderStatus, OrderStep

_TEXTS: frozenset[Kind] = frozenset(("text", "id", "whole"))
_AMOUNTS: frozenset[Kind] = frozenset(("money", "share", "price"))
_STEPS = frozenset(step.value for step in OrderStep)


class Section(BaseModel):
    """Fields of ours, each with its source. `kinds`: how each is read; `closed`: those with a closed set of words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kinds: ClassVar[dict[str, Kind]]
    closed: ClassVar[dict[str, frozenset[str]]] = {}
    computed: ClassVar[dict[str, str]] = {}  # field → the word for "reckon it"

    @model_validator(mode="before")
    @classmethod
    def _reckoned(cls, given: Any) -> Any:
        """`total: sum_of_lines` is no path."""
        if not isinstance(given, dict):
            return given
        return {name: {"computed": one} if cls.computed.get(name) == one else one for name, one in given.items()}

    @model_validator(mode="after")
    def _suits(self) -> Self:
        for name, source in self.sources():
            _check(name, source, self.kinds[name], self.closed.get(name), self.computed.get(name))
        return self

    def sources(self) -> Iterator[tuple[str, Source]]:
        """The sources that are declared."""
        for name in self.kinds:
            source = getattr(self, name)
            if source is not None:
                yield name, source


def _check(name: str, source: Source, kind: Kind, closed: frozenset[str] | None, computed: str | None) -> None:
    suits = {kind} | (_TEXTS if kind in _TEXTS else frozenset()) | ({"money", "minor"} if kind in _AMOUNTS else set())
    if source.type is not None and source.type not in suits:
        raise ValueError(f"{name}: type {source.type} does not suit it; it is read as {kind}")
    if source.format and kind != "instant":
        raise ValueError(f"{name}: `format` is for times only")
    if (source.negate or source.absolute) and kind not in {*_AMOUNTS, "count"}:
        raise ValueError(f"{name}: `negate` and `absolute` are for amounts and quantities only")
    if source.computed is not None and source.computed != computed:
        raise ValueError(f"{name}: it cannot be computed so")
    if closed is None:
        return
    if not source.translates and source.value is None:
        raise ValueError(f"{name}: needs `words` (their word: ours), `match` or `value`; ours are {_list(closed)}")
    if unknown := source.our_words() - closed:
        raise ValueError(f"{name}: {_list(unknown)} is none of our words: {_list(closed)}")


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


class Condition(BaseModel):
    """What stands at a path (or at the first of several that holds something) looks like a regular expression."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Several = Field(min_length=1)
    like: str

    @field_validator("like")
    @classmethod
    def _pattern(cls, like: str) -> str:
        mapping_source.pattern_of(like)
        return like

    def fits(self, row: Any) -> bool:
        """Nothing at all is an empty text, which fits '^$'."""
        texts = (mapping_values.text_of(mapping_values.at(row, path)) for path in self.path)
        return mapping_source.pattern_of(self.like).search(next(filter(None, texts), "")) is not None


class Skip(BaseModel):
    """What is no order, or no merchandise: all conditions fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    because: str = Field(min_length=1)
    where: tuple[Condition, ...] = Field(min_length=1)

    @field_validator("where", mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """`{state: '^draft$'}` is path: regular expression."""
        if isinstance(given, dict) and not {"path", "like"} & given.keys():
            return [{"path": path, "like": like} for path, like in given.items()]
        return [given] if isinstance(given, dict) else given

    def fits(self, row: Any) -> bool:
        """Does the row look like this?"""
        return all(condition.fits(row) for condition in self.where)


class OrderFields(Section):
    """Where the order's own fields come from. Without `updated_at` it is the time of placing."""

    kinds: ClassVar[dict[str, Kind]] = {
        **dict.fromkeys(("external_id", "replaces"), "id"),
        **dict.fromkeys(("number", "status", "currency", "kind", "shop_currency"), "text"),
        **dict.fromkeys(("total", "refunded", "shop_total", "shop_refunded"), "money"),
        **dict.fromkeys(("tax", "shipping", "discount"), "share"),
        **dict.fromkeys(("placed_at", "updated_at", "cancelled_at", "deleted_at"), "instant"),
        **dict.fromkeys(("test", "notify"), "flag"),
    }
    closed: ClassVar[dict[str, frozenset[str]]] = {"status": frozenset(OrderStatus), "kind": frozenset(OrderKind)}
    computed: ClassVar[dict[str, str]] = {"total": "sum_of_lines"}

    external_id: Source
    status: Source
    currency: Source
    total: Source
    placed_at: Source
    updated_at: Source | None = None
    cancelled_at: Source | None = None
    deleted_at: Source | None = None
    number: Source | None = None
    kind: Source | None = None
    replaces: Source | None = None
    refunded: Source | None = None
    tax: Source | None = None
    shipping: Source | None = None
    discount: Source | None = None
    coupons: Source | None = None
    coupons_separator: str = Field(",", min_length=1)
    test: Source | None = None
    notify: Source | None = None
    shop_currency: Source | None = None
    shop_total: Source | None = None
    shop_refunded: Source | None = None
    skip_when: tuple[Skip, ...] = ()


class CustomerFields(Section):
    """Who ordered. Without a number a guest, known by the address."""

    kinds: ClassVar[dict[str, Kind]] = {
        "external_id": "id",
        **dict.fromkeys(("email", "first_name", "last_name", "locale"), "text"),
        "country": "country",
        "relay": "flag",
    }

    external_id: Source | None = None
    email: Source | None = None
    first_name: Source | None = None
    last_name: Source | None = None
    country: Source | None = None
    locale: Source | None = None
    relay: Source | None = None


class ConsentFields(Section):
    """What the customer said of marketing mail. A `status` of null says that nothing was said."""

    kinds: ClassVar[dict[str, Kind]] = {
        **dict.fromkeys(("status", "source", "basis", "wording", "level"), "text"),
        "at": "instant",
    }
    closed: ClassVar[dict[str, frozenset[str]]] = {"status": frozenset(ConsentStatus)}

    status: Source
    at: Source
    source: Source
    basis: Source
    wording: Source
    level: Source | None = None


class LineFields(Section):
    """One line. `list`: where an order keeps its lines; without it each row is one. Without `line_no` they are counted."""

    kinds: ClassVar[dict[str, Kind]] = {
        **dict.fromkeys(("sku", "external_id"), "id"),
        **dict.fromkeys(("title", "category", "brand"), "text"),
        **dict.fromkeys(("quantity", "line_no"), "count"),
        **dict.fromkeys(("unit_price", "total"), "price"),
        **dict.fromkeys(("discount", "tax"), "share"),
    }
    computed: ClassVar[dict[str, str]] = {"total": "quantity_times_unit_price"}

    list: str = ""
    sku: Source
    quantity: Source
    total: Source
    unit_price: Source | None = None
    title: Source | None = None
    category: Source | None = None
    brand: Source | None = None
    external_id: Source | None = None
    line_no: Source | None = None
    discount: Source | None = None
    tax: Source | None = None
    skip_when: tuple[Skip, ...] = ()

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.total.computed is not None and self.unit_price is None:
            raise ValueError("total: quantity_times_unit_price needs `unit_price`")
        return self


class EventFields(Section):
    """Steps of the order: one for each entry of `list`, or without a list the order's own. No `at`: not happened yet."""

    kinds: ClassVar[dict[str, Kind]] = {
        **dict.fromkeys(("step", "reference", "carrier", "tracking_number", "tracking_url", "note"), "text"),
        "at": "instant",
        "amount": "money",
    }
    closed: ClassVar[dict[str, frozenset[str]]] = {"step": frozenset(OrderStep)}

    list: str = ""
    step: Source
    at: Source
    reference: Source | None = None
    amount: Source | None = None
    carrier: Source | None = None
    tracking_number: Source | None = None
    tracking_url: Source | None = None
    note: Source | None = None

    @field_validator("step", mode="before")
    @classmethod
    def _constant(cls, given: Any) -> Any:
        """`step: shipped` is the word itself, no path."""
        return {"value": given} if isinstance(given, str) and given in _STEPS else given


class RefundFields(Section):
    """Refunds: one for each entry of `list`. Where the order tells no sum of its own, theirs is what was refunded."""

    kinds: ClassVar[dict[str, Kind]] = {
        "at": "instant",
        "amount": "money",
        **dict.fromkeys(("reference", "note"), "text"),
    }

    list: str = Field(min_length=1)
    at: Source
    amount: Source
    reference: Source | None = None
    note: Source | None = None
