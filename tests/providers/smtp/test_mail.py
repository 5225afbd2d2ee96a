"""Mails made to be expensive: each is read to its end, in little time and memory."""

import tracemalloc

import pytest

from domain.delivery import DeliveryEvent
from providers.smtp import mail
from tests.providers.smtp import returned

DATE = b"Date: Sun, 22 Nov 2026 10:00:00 +0100\n"
FROM = b"From: MAILER-DAEMON@mx.example.org\nSubject: Undelivered mail\n"
SIZE = 2**21


def nested(depth: int) -> bytes:
    begin = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return DATE + begin + b"\nend\n"


def wrapped(depth: int) -> bytes:
    return DATE + b"Content-Type: message/rfc822\n\n" * depth + b"end\n"


EXPENSIVE = {
    "nested": nested(20_000),
    "wrapped": wrapped(50_000),
    "many-parts": DATE + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * (SIZE // 8),
    "one-header": DATE + b"Subject: " + b"=?utf-8?q?a?= " * (SIZE // 14) + b"\n\nx",
    "many-headers": DATE + b"X-A: b\n" * (SIZE // 7) + b"\nx",
    "parameters": DATE + b"Content-Type: text/plain" + b'; a="\\"' * 4_000 + b"\n\nx",
    "tags": DATE + FROM + b"Content-Type: text/html\n\n" + b"<script" * (SIZE // 7),
    "entities": DATE + FROM + b"Content-Type: text/html\n\n" + b"&" * SIZE,
    "at-signs": DATE + FROM + b"\n" + b"@" * SIZE,
    "almost-addresses": DATE + FROM + b"\n" + b"a" * SIZE,
    "many-addresses": DATE + FROM + b"\n" + b"<a@b.example>: 550 5.1.1 no\n" * (SIZE // 28),
    "blanks": DATE + FROM + b"\n" + b" " * SIZE,
    "names": DATE + FROM + b"\n" + b"r1.1.1.aaaaaaaaaaaaaaaaaaaa " * (SIZE // 28),
    "almost-names": DATE + FROM + b"\n" + b"a-" * (SIZE // 2),
    "statuses": DATE
    + b"Content-Type: message/delivery-status\n\n"
    + b"Final-Recipient: rfc822; a@b.c\nAction: failed\n\n" * (SIZE // 48),
    "base64": DATE + b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + b"A" * SIZE,
    "quoted": DATE + b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + b"=" * SIZE,
    "boundary-lines": DATE + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b " * (SIZE // 4),
    "sentences": DATE + FROM + b"\n" + b"user " * (SIZE // 5),
}


@pytest.mark.parametrize("name", sorted(EXPENSIVE))
@pytest.mark.timeout(60)
def test_an_expensive_mail_costs_little(name: str) -> None:
    body = EXPENSIVE[name]
    tracemalloc.start()
    try:
        found = list(returned.reader(trusting=True).parse(body))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 1 <= len(found) <= 101
    assert most < 8 * len(body) + 2**23


def test_parts_are_found_as_they_were_sent() -> None:
    read = mail.read(returned.raw("postfix-unknown-user"))
    assert [part.kind for part in read.parts] == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert "User unknown" in read.parts[0].text()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_are_read(end: bytes) -> None:
    body = returned.raw("postfix-unknown-user").replace(b"\r\n", end)
    (event,) = returned.reader().parse(body)
    assert isinstance(event, DeliveryEvent)
    assert event.message_id == returned.MESSAGE


@pytest.mark.parametrize(
    "charset", ["utf-7", "utf-16", "gb2312", "koi8-r", "iso-2022-jp", "x-unknown", "punycode", "rot13", "hex"]
)
def test_any_charset_gives_some_text(charset: str) -> None:
    body = f"Content-Type: text/plain; charset={charset}\n\n".encode() + bytes(range(256))
    (part,) = mail.read(body).parts
    assert "\0" not in part.text()


def test_markup_is_taken_off_and_scripts_with_it() -> None:
    page = (
        b"Content-Type: text/html\n\n<style>p{}</style><p>user&nbsp;unknown<br>550</p><script>if (1 < 2) x</script>end"
    )
    (part,) = mail.read(page).parts
    assert part.text().split() == ["user", "unknown", "550", "end"]
