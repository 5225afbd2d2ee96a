"""Header fields as they stand on the wire: encoded words (RFC 2047) and folded lines (RFC 5322).

Own code, not email.header: that takes 90 µs a subject and passes `=?utf-8?…?=` in a customer's name through, which a
mail program then decodes to something else.
"""

import base64
import re

_FOLD = "\r\n "
_WIDTH = 76
# Of 75 characters of an encoded word (RFC 2047 section 2) 63 are left beside =?utf-8?B?…?=: 45 bytes in base64.
_WORD_BYTES = 45
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")  # of a display name that needs no quotes


def field(name: str, value: str) -> str:
    """A whole line of a header; `value` is ASCII, encoded and folded already."""
    return f"{name}: {value}\r\n"


def text(value: str, *, name: str) -> str:
    """Unstructured text, such as a subject. Blanks in a row become one. Raises UnicodeEncodeError."""
    words = value.split()
    plain = " ".join(words)
    if not plain.isascii() or "=?" in plain or any(len(word) > _WIDTH - len(name) - 2 for word in words):
        return _encoded(plain)
    return plain if len(plain) + len(name) + 2 <= _WIDTH else _folded(words, len(name) + 2)


def mailbox(name: str, address: str) -> str:
    """A display name, which may be empty, and its address. Raises UnicodeEncodeError."""
    plain = " ".join(name.split())
    if not plain:
        return address
    if not plain.isascii() or "=?" in plain or len(plain) > _WORD_BYTES:
        shown = _encoded(plain)
    elif _ATOMS.fullmatch(plain):
        shown = plain
    else:
        shown = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown}{_FOLD}<{address}>"


def _encoded(plain: str) -> str:
    words, word = [], b""
    for character in plain:  # a character must not be cut in two
        encoded = character.encode()
        if len(word) + len(encoded) > _WORD_BYTES:
            words.append(word)
            word = b""
        word += encoded
    return _FOLD.join(f"=?utf-8?B?{base64.b64encode(one).decode()}?=" for one in [*words, word])


def _folded(words: list[str], column: int) -> str:
    lines, line = [], ""
    for word in words:
        if line and column + len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line, column = word, 1
        else:
            line = f"{line} {word}" if line else word
    return _FOLD.join([*lines, line])
