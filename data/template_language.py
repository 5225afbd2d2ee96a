"""The part of the template language that an author may use, checked before MiniJinja sees a template.

MiniJinja keeps a template off Python's inside and stops loops by fuel, but not all. `not not not …`, twenty thousand times,
ends the process by a stack overflow (3.0.5); `'x' * 100000000` takes 100 MB for one unit of fuel, two dozen doublings a
gigabyte; and methods of dicts and lists can be called. None of it is of use in a mail. So tags are short and shallow, there
is no arithmetic, no variable is set, no call stands in a call, and only the filters and statements below exist. The deepest
template that is left needs less than 512 KB of stack, and what it writes grows by at most one piece of text (`MOST_TEXT`)
for each unit of fuel, which the engine relies on.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

FILTERS = frozenset(
    {"capitalize", "default", "e", "escape", "first", "last", "length", "lower", "title", "trim", "upper"}
)
STATEMENTS = frozenset(
    {"block", "call", "elif", "else", "extends", "for", "if", "import", "include", "macro"}
    | {"endblock", "endcall", "endfor", "endif", "endmacro"}
)
MOST_SOURCE = 100_000  # characters in one file; Gmail clips a mail at 102 KB
MOST_TAG = 400
MOST_TEXT = 500  # characters between two tags, once `split` has cut them
DEEPEST = 20  # statements inside one another
DEEPEST_FILES = 6  # that read one another
MOST_MACROS = 40
_NOTHING = "{{''}}"
_TOKEN = re.compile(r"{{(.*?)}}|{%(.*?)%}|{#.*?#}", re.DOTALL)
_OPEN = re.compile(r"{[{%#].{0,30}", re.DOTALL)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_NEVER = re.compile(r"[^\w\s.,:()\[\]|=!<>\"-]")
_FILTER = re.compile(r"\|\s*(\w*)")
_CALL = re.compile(r"([\w.]*)\s*\(")
_ATTRIBUTE = re.compile(r"\.\s*(\w*)")
_FILE = re.compile(r"^(extends|include|import)\s+(\"[^\"\\]*\"|'[^'\\]*')(?:\s+as\s+(\w+))?$")
# A dict or list of Python shows its own methods to a template, which would print or run them.
_METHODS = frozenset(name for kind in (dict, list) for name in dir(kind))
_LOOP = re.compile(r"\bloop\.(?:index|first|last|length)\b")


class Refused(ValueError):
    """The template does what no template may; the message says what, and what to write instead."""


@lru_cache(maxsize=512)
def check(source: str, known: frozenset[str]) -> None:
    """Refuse a file that leaves the language or includes another than `known`. Raises Refused."""
    if len(source) > MOST_SOURCE:
        raise Refused(f"it is {len(source):,} characters long, {MOST_SOURCE:,} are the most")
    if match := _OPEN.search(_TOKEN.sub(" ", source)):  # `split` must not give it an end
        raise Refused(f"the tag {match[0]!r} does not end")
    depth, callable_names, begun = 0, {"caller", "super"}, ""
    for kind, text in tags(source):
        bare = _bare(text)
        if kind == "statement":
            word, _, rest = bare.partition(" ")
            depth += _step(word)
            if word in {"extends", "include", "import"}:
                callable_names |= _read(word, text, known)
                continue
            # A macro can be called once it is written: then none calls itself, whatever it calls.
            begun = rest.partition("(")[0].strip() if word == "macro" else begun
            callable_names |= {begun} if word == "endmacro" else set()
            bare = rest
            if word in {"for", "macro"} and re.search(r"\bloop\b", rest.partition(" in ")[0]):
                raise Refused(f"{text[:60]!r}: loop is the loop's own name")
            if word == "macro":  # its head is no call
                bare = rest.partition("(")[2].removesuffix(")")
        _expression(bare, text, callable_names)
        if depth > DEEPEST:
            raise Refused(f"more than {DEEPEST} statements stand inside one another")
    if len(callable_names) > MOST_MACROS:
        raise Refused(f"more than {MOST_MACROS} macros are in one file")


def tags(source: str) -> Iterator[tuple[str, str]]:
    """Each tag that does something: "value" or "statement", and what stands in it, without the signs for white space."""
    for match in _TOKEN.finditer(source):
        text = match[2] if match[1] is None else match[1]
        if text is not None:
            if len(text) > MOST_TAG:
                raise Refused(f"a tag is {len(text):,} characters long, {MOST_TAG} are the most: {text[:40]}…")
            yield "statement" if match[1] is None else "value", re.sub(r"^[-+]|[-+]$", "", text).strip()


def check_files(parts: Mapping[str, str]) -> None:
    """Refuse files that read themselves, at whatever distance: MiniJinja's own limit may lie below the end of the stack."""
    read = {part: _files(source) for part, source in parts.items()}
    ends: frozenset[str] = frozenset()
    for _ in range(DEEPEST_FILES):
        ends = frozenset(part for part, others in read.items() if others <= ends)
    if endless := sorted(set(parts) - ends):
        raise Refused(f"{', '.join(endless)} read themselves, or one another more than {DEEPEST_FILES} deep")


def _files(source: str) -> frozenset[str]:
    found = (_FILE.match(text) for kind, text in tags(source) if kind == "statement")
    return frozenset(match[2][1:-1] for match in found if match)


def _bare(text: str) -> str:
    """A tag's text with its strings emptied. A quote that has no other would let MiniJinja see other tags than we do."""
    bare = _LOOP.sub("loop", _STRING.sub('""', text))
    if "'" in bare or bare.replace('""', "").count('"'):
        raise Refused(f"a string in {text[:60]!r} does not end within its tag")
    return bare


def _step(word: str) -> int:
    if word not in STATEMENTS:
        raise Refused(f"there is no {word!r} in templates; there are: {', '.join(sorted(STATEMENTS))}")
    if word in {"extends", "import", "include", "else", "elif"}:
        return 0
    return -1 if word.startswith("end") else 1


def _read(word: str, text: str, known: frozenset[str]) -> set[str]:
    """What can be called from here on; a file that is read must be one of the known, named by its letters."""
    match = _FILE.match(text)
    if match is None or (word == "import") != bool(match[3]):
        raise Refused(f'write {word} "file"{" as name" * (word == "import")}, and nothing more: {text[:60]!r}')
    if match[2][1:-1] not in known:
        raise Refused(f"there is no file {match[2][1:-1]!r}; there are: {', '.join(sorted(known))}")
    return {f"{match[3]}."} if match[3] else set()


def _expression(bare: str, text: str, callable_names: set[str]) -> None:
    if found := _NEVER.search(bare):
        raise Refused(
            f"{found[0]!r} in {text[:60]!r}: templates do no arithmetic and join no text; write {{{{ name }}}}"
        )
    for name in _FILTER.findall(bare):
        if name not in FILTERS:
            raise Refused(f"there is no filter {name!r} in templates; there are: {', '.join(sorted(FILTERS))}")
    for name in _ATTRIBUTE.findall(bare):
        if not name or name.startswith("_") or name in _METHODS:
            raise Refused(f"{name!r} in {text[:60]!r} is no field of a value")
    for name in _CALL.findall(bare):
        alias, dot, _ = name.partition(".")
        if (
            name
            and name not in FILTERS
            and (name if not dot else alias + dot) not in callable_names | {"and", "or", "not", "if", "in"}
        ):
            raise Refused(f"{name!r} in {text[:60]!r} can not be called: only macros can")
    if re.search(r"\([^()]*\(", bare):
        raise Refused(f"a bracket stands within a bracket in {text[:60]!r}")
    if re.search(r"\[[^\[\]]*\[|[\w\])\"]\s*\[", re.sub(r"\b(?:in|and|or|not|if|else)\s*\[", "", bare)):
        raise Refused(f"{text[:60]!r}: write value.name, and nothing in square brackets but one plain list")


@lru_cache(maxsize=512)
def split(source: str) -> str:
    """Cut long text between tags, so that each unit of fuel writes no more than `MOST_TEXT` characters."""
    pieces, end = [], 0
    for match in _TOKEN.finditer(source):
        pieces += [_cut(source[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*pieces, _cut(source[end:])])


def _cut(text: str) -> str:
    pieces = []
    while len(text) > MOST_TEXT:
        piece = text[:MOST_TEXT].rstrip("{") or text[:MOST_TEXT]  # a brace would grow together with the tag's own
        pieces.append(piece)
        text = text[len(piece) :]
    return _NOTHING.join([*pieces, text])
