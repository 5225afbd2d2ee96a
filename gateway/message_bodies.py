"""What POST /messages takes: a strict model, made of the declaration of fields, and how a body is read into it."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, create_model

from data import field_values
from domain import money, template_fields
from domain.suppression import Stream
from domain.template_fields import Kind, Purpose
from gateway.problems import Problem, invalid

MOST_BYTES = 256 * 1024  # 200 products with pictures take 100 KB
_LONGEST_USE = int(timedelta(days=14).total_seconds())
_MOST_NUMBER = 999_999_999_999_999  # whole numbers are exact up to there
_CURRENCIES: list[Any] = sorted(money.CURRENCIES)
_STRICT = ConfigDict(extra="forbid", strict=True)


class Money(BaseModel):
    """An amount with its currency. Text, because a float is no money."""

    model_config = _STRICT
    amount: str = Field(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,4})?$", examples=["77.60"])
    currency: str = Field(description="ISO 4217", examples=["EUR"], json_schema_extra={"enum": _CURRENCIES})


_Text = Annotated[str, Field(min_length=1, max_length=field_values.LONGEST_TEXT)]
_Bounds = Field(ge=-_MOST_NUMBER, le=_MOST_NUMBER)
_Number = Annotated[
    Annotated[int, _Bounds] | Annotated[float, _Bounds],
    WithJsonSchema({"type": "number", "minimum": -_MOST_NUMBER, "maximum": _MOST_NUMBER}),
]
_Date = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"})]
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
_Moment = Annotated[str, Field(pattern=_MOMENT, json_schema_extra={"format": "date-time"})]
_LINK = r"^https?://[^\s/?#@:<>\"\\\[\]]+(:[0-9]{1,5})?([/?#][^\s<>\"\\]*)?$"
_Link = Annotated[str, Field(pattern=_LINK, json_schema_extra={"format": "uri"}, max_length=field_values.LONGEST_LINK)]


class Product(BaseModel):
    """One product of a list."""

    model_config = _STRICT
    name: _Text
    quantity: _Number | None = Field(None, description="one, unless given")
    price: Money | None = Field(None, description="of the whole line")
    image: _Link | None = None
    url: _Link | None = None
    note: _Text | None = None


_TYPES: dict[Kind, Any] = {
    Kind.TEXT: _Text,
    Kind.NUMBER: _Number,
    Kind.MONEY: Money,
    Kind.DATE: _Date,
    Kind.MOMENT: _Moment,
    Kind.LINK: _Link,
    Kind.ITEMS: Annotated[list[Product], Field(max_length=field_values.MOST_ITEMS)],
}


def _variables() -> type[BaseModel]:
    """Every field that some transactional template may use; which of them one needs, the template says."""
    purposes = [one for one in Purpose if template_fields.stream(one) is Stream.TRANSACTIONAL]
    fields = {name: one for purpose in purposes for name, one in template_fields.allowed(purpose).items()}
    wanted: dict[str, Any] = {
        name: (_TYPES[one.kind] | None, Field(None, description=one.meaning, examples=[one.sample]))
        for name, one in fields.items()
    }
    return create_model(
        "Variables", __config__=_STRICT, __doc__="What the template says about this one message.", **wanted
    )


if TYPE_CHECKING:
    Variables = BaseModel
else:
    Variables = _variables()


class Recipient(BaseModel):
    """Whom the message is for."""

    model_config = _STRICT
    email: str = Field(
        min_length=3,
        max_length=320,
        description="one address, without a name",
        examples=["ann@example.com"],
        json_schema_extra={"format": "email"},
    )
    locale: str | None = Field(
        None,
        pattern="^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}$",
        description="how numbers, money and days are written, and in which language where the template has it",
        examples=["de-AT"],
    )


class MessageRequest(BaseModel):
    """One message to one person."""

    model_config = _STRICT
    template: str = Field(
        pattern="^[a-z0-9][a-z0-9-]{0,59}$", description="a transactional template", examples=["password-reset"]
    )
    recipient: Recipient
    variables: Variables = Field(description="the values of the template's fields")
    useful_seconds: int | None = Field(
        None,
        ge=1,
        le=_LONGEST_USE,
        description="what cannot go within this time expires; it may only shorten the template's own",
    )


EXAMPLE = {
    "template": "password-reset",
    "recipient": {"email": "ann@example.com", "locale": "en-GB"},
    "variables": {"first_name": "Ann", "reset_url": "https://shop.example.com/reset/9a41", "valid_minutes": 30},
    "useful_seconds": 900,
}


def read(body: bytes) -> tuple[MessageRequest, dict[str, Any]]:
    """The request, and the document that it was read from. Raises Problem."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Problem("malformed-body", "The body must be one JSON object in UTF-8, each of its keys once.") from None
    try:
        return MessageRequest.model_validate(document), document
    except ValidationError as error:
        told = error.errors(include_input=False, include_url=False, include_context=False)
        raise invalid(list(dict.fromkeys(_fault(one["loc"], one["type"], one["msg"]) for one in told))) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that comes twice, two programs may each believe another value."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_number(_text: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_NUMBERS = frozenset({"int", "float", "constrained-int", "constrained-float"})
_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "model_type": "must be an object",
}


def _fault(place: tuple[int | str, ...], kind: str, told: str) -> tuple[str, str]:
    """Where, and what is wrong there. pydantic's sentences name what was expected, not what came."""
    return _spelled(place), _WORDS.get(kind, told[:1].lower() + told[1:])


def _spelled(place: tuple[int | str, ...]) -> str:
    """variables.line_items[0].price. What a caller took for a name may be a value: it is shown if it looks like a name."""
    spelled = ""
    for one in place:
        if isinstance(one, int):
            spelled += f"[{one}]"
        elif one in _NUMBERS:  # what it is neither of
            continue
        else:
            plain = one.isascii() and one.replace("_", "").isalpha() and one.islower() and len(one) <= 40  # noqa: PLR2004
            spelled += f".{one if plain else '(a name that is none of ours)'}"
    return spelled.lstrip(".") or "(body)"
