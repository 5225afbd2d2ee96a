"""Segments put together in words: `vip and not (high-refunders or category-fans(category="books"))`.

expression = all {"or" all};  all = term {"and" term};  term = "not" term | "(" expression ")" | name [arguments]
arguments = "(" [word "=" value {"," word "=" value}] ")";  value = number | text in quotes of either kind
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

_LONGEST = 2000
_DEEPEST = 40
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"[^"]*"|'[^']*')
      | (?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?![\w.-]))
      | (?P<word>[A-Za-z][\w]*(?:-\w+)*)
      | (?P<sign>[(),=])
    )""",
    re.VERBOSE | re.ASCII,
)


class ExpressionError(ValueError):
    """An expression cannot be read; the message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Named:
    """A segment by name, with arguments as text."""

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={_quoted(value)}" for name, value in self.arguments.items())
        return f"{self.name}({given})" if given else self.name


@dataclass(frozen=True, slots=True)
class Not:
    """Everyone who is not in it."""

    part: "Expression"

    def __str__(self) -> str:
        return f"not {_bracketed(self.part)}"


@dataclass(frozen=True, slots=True)
class Both:
    """Whoever is in all of them."""

    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        return " and ".join(map(_bracketed, self.parts))


@dataclass(frozen=True, slots=True)
class Either:
    """Whoever is in any of them."""

    parts: tuple["Expression", ...]

    def __str__(self) -> str:
        return " or ".join(map(_bracketed, self.parts))


Expression: TypeAlias = Named | Not | Both | Either


def _bracketed(part: Expression) -> str:
    return f"({part})" if isinstance(part, (Both, Either)) else str(part)


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def parse(text: str) -> Expression:
    """The expression that the text is. Raises ExpressionError."""
    if len(text) > _LONGEST:
        raise ExpressionError(f"the expression has {len(text)} letters; {_LONGEST} are allowed: name a part of it")
    return _Reader(text).whole()


def named(expression: Expression) -> Iterator[Named]:
    """Every segment that the expression names, from left to right."""
    if isinstance(expression, Named):
        yield expression
        return
    for part in (expression.part,) if isinstance(expression, Not) else expression.parts:
        yield from named(part)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Reads tokens from left to right; one method a line of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def _split(self) -> Iterator[_Token]:
        at = 0
        while self._text[at:].strip():
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                raise ExpressionError(f"the expression has a sign at letter {at + 1} that does not belong there")
            yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
            at = found.end()

    def whole(self) -> Expression:
        found = self._either()
        if self._next < len(self._tokens):
            self._fail("'and', 'or', or the end")
        return found

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._term()]
        while self._took("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _term(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError(f"the expression is nested more than {_DEEPEST} deep: give a part of it a name")
        try:
            if self._took("not"):
                return Not(self._term())
            if self._took("("):
                found = self._either()
                self._expect(")")
                return found
            return self._named()
        finally:
            self._depth -= 1

    def _named(self) -> Named:
        name = self._word("the name of a segment")
        arguments: dict[str, str] = {}
        if self._took("("):
            while not self._took(")"):
                if arguments:
                    self._expect(",")
                key = self._word("the name of a parameter")
                if key in arguments:
                    raise ExpressionError(f"the expression says {key!r} of {name!r} twice")
                self._expect("=")
                arguments[key] = self._value()
        return Named(name, arguments)

    def _value(self) -> str:
        token = self._here()
        if token is None or token.kind not in {"text", "number"}:
            self._fail("a number, or a text in quotes")
        self._next += 1
        return token.text[1:-1] if token.kind == "text" else token.text

    def _word(self, expected: str) -> str:
        token = self._here()
        if token is None or token.kind != "word" or token.text in {"and", "or", "not"}:
            self._fail(expected)
        self._next += 1
        return token.text

    def _here(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _took(self, word: str) -> bool:
        token = self._here()
        if token is None or token.kind not in {"word", "sign"} or token.text != word:
            return False
        self._next += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._took(sign):
            self._fail(f"{sign!r}")

    def _fail(self, expected: str) -> NoReturn:
        token = self._here()
        where = "at its end" if token is None else f"at letter {token.at + 1}"
        raise ExpressionError(f"the expression lacks {expected} {where}")
