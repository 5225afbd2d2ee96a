"""A mail as parts, bounded: whatever comes, reading it takes linear time, little memory, and never raises.

The standard library's parser is asked for headers alone. Its parser of whole mails compares each line with every
boundary around it and recurses as deep as a mail does, so bodies are cut at their boundaries here.
"""

import binascii
import codecs
import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import HeaderParser

_DEEPEST = 6
_MOST_PARTS = 60
_HEADER_BYTES = 64 * 1024
_FIELD_CHARACTERS = 4096
_TEXT_BYTES = 64 * 1024
# Headers of a returned mail, and what follows them as far as it can name the mail.
_ORIGINAL_BYTES = 256 * 1024

ORIGINALS = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
_WHOLE = frozenset({"message/rfc822", "message/global"})
_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
# Codecs of texts. Others are slow (punycode takes quadratic time), or no charsets at all.
_CHARSET = re.compile(r"utf|iso|cp\d|latin|ascii|koi8|gb|big5|shift|euc|mac|hz|tis|windows")
_BREAKS = ("br", "p", "/p", "div", "/div", "tr", "/tr", "li", "h1", "h2", "h3", "td", "pre", "/pre")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a mail. `level`: how many mails it is wrapped in; `content` as it was transferred."""

    headers: "Message[str, str]"
    kind: str
    content: bytes
    level: int = 0

    def field(self, name: str) -> str:
        """A header field in clear, on one line; "" where there is none."""
        return field(self.headers, name)

    def text(self) -> str:
        """The content as text, without markup."""
        decoded = _decoded(self.content[: 2 * _TEXT_BYTES], self.field("content-transfer-encoding"))[:_TEXT_BYTES]
        text = _in_charset(decoded, self.headers)
        return _unmarked(text) if self.kind == "text/html" else text.replace("\r\n", "\n")

    def original(self) -> str:
        """A returned mail, its headers first, as far as it is looked at."""
        decoded = _decoded(self.content[:_ORIGINAL_BYTES], self.field("content-transfer-encoding"))
        return decoded.decode("utf-8", "replace").replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Mail:
    """The headers of a mail, and its leaves in their order, those of mails inside it too."""

    headers: "Message[str, str]"
    kind: str
    parts: tuple[Part, ...]

    def field(self, name: str) -> str:
        return field(self.headers, name)

    def fields(self, name: str) -> list[str]:
        """All fields of one name, from top to bottom."""
        return [_clear(value) for value in self.headers.get_all(name, [])[:_MOST_PARTS]]

    def of_kind(self, *kinds: str) -> list[Part]:
        """The parts of these content types, the outermost mail's first."""
        return sorted((part for part in self.parts if part.kind in kinds), key=lambda part: part.level)


def read(body: bytes) -> Mail:
    """Take a mail apart. Never raises; what cannot be understood is one part of text."""
    if b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    headers, content = _cut(body.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"))
    parts = list(_leaves(headers, content, 0, 0, [_MOST_PARTS]))
    return Mail(headers, _kind(headers), tuple(parts))


def fields_of(text: str) -> "Message[str, str]":
    """A block of header fields. As text, not as bytes: RFC 6532 writes addresses in UTF-8, which the parser hides."""
    return HeaderParser().parsestr(text[:_HEADER_BYTES])


def field(headers: "Message[str, str]", name: str) -> str:
    """A field in clear, on one line; "" where there is none."""
    return _clear(headers.get(name, ""))


def _clear(value: object) -> str:
    text = " ".join(str(value)[:_FIELD_CHARACTERS].split())
    if "=?" in text:
        try:
            text = " ".join(str(make_header(decode_header(text))).split())
        except (MessageError, ValueError, LookupError):
            return text
    return text.replace("\0", "")


def _cut(data: bytes) -> tuple["Message[str, str]", bytes]:
    if data[:5] == b"From ":  # the first line of a mail in a file of many
        data = data.partition(b"\n")[2]
    blank = _BLANK_LINE.search(data)
    head, content = (data, b"") if blank is None else (data[: blank.start()], data[blank.end() :])
    return fields_of(head[:_HEADER_BYTES].decode("utf-8", "replace")), content


def _kind(headers: "Message[str, str]") -> str:
    words = field(headers, "content-type").partition(";")[0].strip().lower()
    return words if words.count("/") == 1 else "text/plain"


def _leaves(headers: "Message[str, str]", content: bytes, level: int, depth: int, left: list[int]) -> Iterator[Part]:
    """`left`: how many parts may still come, of all levels together."""
    if not left[0]:
        return
    left[0] -= 1
    kind = _kind(headers)
    pieces = _pieces(content, headers, left[0]) if kind.startswith("multipart/") and depth < _DEEPEST else None
    if pieces is None:
        yield Part(headers, "text/plain" if kind.startswith("multipart/") else kind, content, level)
    else:
        for piece in pieces:
            # A part may begin with its blank line: it has no headers then.
            inner = (fields_of(""), piece) if piece[:1] in b"\r\n" else _cut(piece)
            yield from _leaves(*inner, level, depth + 1, left)
    if kind in _WHOLE and depth < _DEEPEST:
        plain = _decoded(content, field(headers, "content-transfer-encoding"))
        yield from _leaves(*_cut(plain.lstrip(b"\r\n")), level + 1, depth + 1, left)


def _pieces(content: bytes, headers: "Message[str, str]", most: int) -> list[bytes] | None:
    """What stands between the boundaries; None where there is none, so that it is read as text."""
    try:
        boundary = headers.get_boundary()
    except (MessageError, ValueError, LookupError, TypeError):
        return None
    if not boundary or len(boundary) > 200:  # noqa: PLR2004 - RFC 2046 allows 70
        return None
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?=\r|\n|\Z)")
    found: list[bytes] = []
    start = None
    for border in line.finditer(content):
        if start is not None:
            found.append(content[start : border.start()])
        start = border.end()
        if border[1] or len(found) >= most:
            break
    else:
        if start is not None:
            found.append(content[start:])  # the mail was cut off
    return [_without_first_break(piece) for piece in found] or None


def _without_first_break(piece: bytes) -> bytes:
    return piece[2:] if piece[:2] == b"\r\n" else piece[1:]


def _decoded(content: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    if encoding != "base64":
        return content
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", content)
    whole = len(letters) - (len(letters) % 4 == 1)
    try:
        return binascii.a2b_base64(letters[:whole] + b"=" * (-whole % 4))
    except binascii.Error:
        return content


def _in_charset(data: bytes, headers: "Message[str, str]") -> str:
    try:
        charset = codecs.lookup(str(headers.get_content_charset("utf-8"))[:40]).name
    except (MessageError, ValueError, LookupError, TypeError):
        charset = "utf-8"
    if not _CHARSET.match(charset):
        charset = "utf-8"
    return data.decode(charset, "replace").replace("\0", "")


def _unmarked(text: str) -> str:
    """Text without tags, in one pass: a pattern for scripts would take quadratic time on a page of opening tags."""
    first, *rest = text.split("<")
    kept, inside = [first], ""
    for piece in rest:
        tag, _, after = piece.partition(">")
        name = tag.partition(" ")[0].strip("\n\r\t/").lower() if tag[:1] != "/" else "/" + tag[1:].strip().lower()
        if inside:
            inside = "" if name == f"/{inside}" else inside
            after = "" if inside else after
        elif name in {"script", "style", "title"}:
            inside, after = name, ""
        kept.append(("\n" if name in _BREAKS else "") + after)
    return html.unescape("".join(kept)).replace("\N{NO-BREAK SPACE}", " ").replace("\r\n", "\n")
