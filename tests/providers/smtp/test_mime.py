"""The mail as a relay gets it, read by the standard library's parser."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from domain import ledger, message_ids, ports
from domain.campaigns import Sender
from domain.templates import Content, html_tag, plain_tag
from providers.batch_checks import RecipientRefused
from providers.smtp.config import SmtpConfig
from providers.smtp.letter import Letter
from providers.smtp.mime import Composer
from tests.conftest import LINK_KEY
from tests.providers.smtp import relayed
from tests.providers.transactional_contract import a_transactional_batch

KEYS = {"1": LINK_KEY}
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def letter(number: int = 0, config: dict[str, Any] | None = None, **changes: Any) -> Letter:
    batch = relayed.a_batch(**changes)
    settings = SmtpConfig(**({"host": "127.0.0.1", "return_mailbox": relayed.MAILBOX} | (config or {})))
    return Composer(batch, settings, keys=("1", LINK_KEY), signer=None, now=NOW).letter(number)


def read(found: Letter) -> EmailMessage:
    mail = message_from_bytes(found.mail, policy=policy.SMTP)
    assert isinstance(mail, EmailMessage)
    assert all(not part.defects for part in mail.walk())
    return mail


def texts(mail: EmailMessage) -> list[tuple[str, str]]:
    """What a reader sees of each part; the last line end of one is the boundary's."""
    found = [part for part in mail.walk() if not part.is_multipart()]
    return [(part.get_content_type(), part.get_content().replace("\r\n", "\n").rstrip("\n")) for part in found]


def content(**parts: str) -> Content:
    values = {"subject": "Hi", "html": "", "text": "Hi"} | parts
    return Content("hi", values["subject"], values["html"], values["text"], ("first_name",), "0" * 64)


def named(value: str) -> dict[str, Any]:
    return {"size": 1, "variables": {"first_name": [value]}}


def test_a_marketing_mail_has_all_that_it_needs() -> None:
    found = letter(1, {"unsubscribe_mailbox": "unsubscribe@shop.example.com"})
    mail = read(found)
    own = ledger.own_attempt(relayed.ATTEMPT, "run1.1")
    assert mail["Message-ID"] == message_ids.mail_id("run1.1", own, domain="shop.example.com", key=LINK_KEY)
    assert (mail["From"], mail["To"]) == ("The Shop <news@shop.example.com>", "person1@customers.example.com")
    assert (mail["Reply-To"], mail["Subject"]) == ("help@shop.example.com", "Spring for Person 1")
    assert mail["Feedback-ID"] == "run1:esp-esp-marketing:marketing:shop-mail"
    assert mail["Date"].datetime == NOW
    link, address = re.findall("<([^>]*)>", mail["List-Unsubscribe"])
    assert link == "https://shop.example.com/unsubscribe/1.1.tag"
    assert message_ids.named_in([address], keys=KEYS, link_purpose="x") == message_ids.Named("run1.1")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert texts(mail) == [
        ("text/plain", f"Hello Person 1\n{link}"),
        ("text/html", f"<p>Hello Person 1</p><a href='{link}'>no more</a>"),
    ]
    assert len(set(mail.keys())) == len(mail.keys())


def test_the_return_path_names_the_message_and_nobody() -> None:
    found = letter(1)
    assert message_ids.mailbox_of(found.sender) == relayed.MAILBOX
    assert message_ids.named_in([found.sender], keys=KEYS, link_purpose="x") == message_ids.Named("run1.1")
    assert "person" not in found.sender
    assert letter(1, {"return_mailbox": ""}).sender == "news@shop.example.com"


def test_a_return_mailbox_that_leaves_no_room_is_told_before_anything_is_sent() -> None:
    with pytest.raises(ports.Unsendable, match="characters too long"):
        letter(config={"return_mailbox": f"{'returns' * 6}@bounce.example.com"})


def test_transactional_mail_counts_with_its_like_and_needs_no_answer() -> None:
    batch = a_transactional_batch(attempt_id=relayed.ATTEMPT)
    settings = SmtpConfig(host="127.0.0.1", return_mailbox=relayed.MAILBOX)
    found = Composer(batch, settings, keys=("1", LINK_KEY), signer=None, now=NOW).letter(0)
    mail = read(found)
    assert mail["Feedback-ID"] == "order-confirmation:receipts-receipts:transactional:shop-mail"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert read(letter())["Auto-Submitted"] is None
    named = message_ids.named_in([found.sender], keys=KEYS, link_purpose="x")
    assert named == message_ids.Named(batch.message_ids[0])


def test_a_value_that_holds_a_placeholder_is_not_filled_in_turn() -> None:
    sly = html_tag("unsubscribe_url") + plain_tag("unsubscribe_url")
    (_, plain), (_, html) = texts(read(letter(**named(sly))))
    assert plain.startswith(f"Hello {sly}\n")
    assert html.startswith(f"<p>Hello {sly}</p>")


def test_a_value_is_escaped_in_html_and_nowhere_else() -> None:
    (_, plain), (_, html) = texts(read(letter(**named("<b>\"Ann\" & 'co'</b>"))))
    assert plain.startswith("Hello <b>\"Ann\" & 'co'</b>")
    assert html.startswith("<p>Hello &lt;b&gt;&quot;Ann&quot; &amp; &#x27;co&#x27;&lt;/b&gt;</p>")


def phrase(shown: str) -> str:
    if shown.startswith('"'):
        return re.sub(r"\\(.)", r"\1", shown[1:-1])
    return str(make_header(decode_header(shown)))


LONG = "ä" * 300
SUBJECTS = [
    *(
        "Frühling",
        "=?utf-8?B?aGk=?=",
        "春のセール、本日から全品半額です。お見逃しなく。" * 4,
        "🌷" * 40,
        LONG,
        "x" * 400,
    ),
    *("many words " * 30, 'a, b; <c> "d" (e) : f', "-", "ß", "Ünï " * 60, "=?x", "?=", "A\u00a0B", "Δ" * 23 + "x" * 50),
]


@pytest.mark.parametrize("value", SUBJECTS)
def test_any_subject_and_name_arrive_as_they_were_meant(value: str) -> None:
    sender = Sender("news@shop.example.com", value)
    found = letter(content=content(subject=plain_tag("first_name")), sender=sender, **named(value))
    mail = read(found)
    meant = " ".join(value.split())
    assert mail["Subject"] == meant
    # Not by the parser's own display_name, which puts a blank between two encoded words.
    shown = re.search(rb"From: (.*?)\r\n <", found.mail, re.DOTALL)
    assert shown is not None
    assert phrase(shown[1].decode()) == meant
    head = found.mail.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 230  # a return path or a Message-ID is one word


# What people put into a name to get a line of their own: reliability.md H61.
BREAKS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1b", "\x7f"]
SMUGGLED = ["Bcc: victim@example.com", " Bcc: victim@example.com", "\r\n\r\nbody", ".", ".\r\nMAIL FROM:<a@b>", ""]
PAYLOADS = [f"Ann{one}{rest}" for one in BREAKS for rest in SMUGGLED]


def test_the_corpus_is_large_enough() -> None:
    assert len(set(PAYLOADS)) >= 60


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_no_value_begins_a_header_of_its_own(payload: str) -> None:
    with pytest.raises(RecipientRefused):
        letter(content=content(subject=f"For {plain_tag('first_name')}"), **named(payload))
    with pytest.raises(RecipientRefused):
        letter(**named("Ann") | {"addresses": [f"{payload}@example.com"]})
    with pytest.raises(RecipientRefused):
        letter(**named("Ann") | {"unsubscribe_urls": [f"https://shop.example.com/{payload}"]})
    for change in (
        {"sender": Sender("news@shop.example.com", payload)},
        {"sender": Sender(f"{payload}@shop.example.com", "Shop")},
        {"sender": Sender("news@shop.example.com", "Shop", f"{payload}@shop.example.com")},
        {"content": content(subject=payload)},
    ):
        with pytest.raises(ports.Unsendable):
            letter(**change)


@pytest.mark.parametrize("payload", [one for one in PAYLOADS if "\0" not in one], ids=ascii)
def test_in_a_body_such_a_value_is_text(payload: str) -> None:
    mail = read(letter(content=content(text=plain_tag("first_name")), **named(payload)))
    assert "Bcc" not in mail
    assert "victim" not in "".join(f"{name}{value}" for name, value in mail.items())
    assert [kind for kind, _ in texts(mail)] == ["text/plain"]


@pytest.mark.parametrize(
    "address", ['a"b@x.com', "a>b@x.com", "a><b@x.com", "<a@x.com", "a@x.com> NOTIFY=NEVER", "a;b@x.com", "a(b)@x.com"]
)
def test_an_address_cannot_say_more_than_itself(address: str) -> None:
    with pytest.raises(RecipientRefused) as refused:
        letter(**named("Ann") | {"addresses": [address]})
    assert address not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "recipient", "utf8"),
    [
        ("joe@bücher.example", "joe@xn--bcher-kva.example", False),
        ("joe@BÜCHER.Example", "joe@xn--bcher-kva.example", False),
        ("Joe.Doe@Example.COM", "Joe.Doe@example.com", False),
        ("jörg@example.com", "jörg@example.com", True),
        ("joe..doe@docomo.example.jp", '"joe..doe"@docomo.example.jp', False),
        ("joe.@docomo.example.jp", '"joe."@docomo.example.jp', False),
    ],
)
def test_an_address_as_it_stands_in_the_envelope(address: str, recipient: str, utf8: bool) -> None:
    found = letter(**named("Ann") | {"addresses": [address]})
    assert (found.recipient, found.needs_utf8) == (recipient, utf8)
    assert f"To: {recipient}\r\n".encode() in found.mail
    mail, rcpt, _ = found.commands({"SMTPUTF8", "DSN", "SIZE"}, ["failure", "delay"])
    assert (b"SMTPUTF8" in mail) == utf8
    assert b"NOTIFY=DELAY,FAILURE" in rcpt
    assert (b"ORCPT=rfc822;" in rcpt) == (not utf8)


def lines_of(found: Letter) -> Iterator[bytes]:
    assert found.mail.endswith(b"\r\n")
    assert b"\r" not in found.mail.replace(b"\r\n", b"")
    assert b"\n" not in found.mail.replace(b"\r\n", b"")
    yield from found.mail.split(b"\r\n")


@given(st.text(max_size=300), st.sampled_from(["Hello ", "こんにちは、", "."]))
@example("\r\n.\r\n", "")
@example(".", "")
@example("a\n.b\n..c\n.", "")
@example("From here\nFrom there", "")
@example("x" * 3000, "")
@example("ä" * 3000, "x")
@example(" \t \n\t", "")
def test_any_text_arrives_as_it_was(value: str, before: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    if "\0" in value:
        return
    html, plain = f"{before}{html_tag('first_name')}", f"{before}{plain_tag('first_name')}"
    found = letter(content=content(subject="Hi", html=html, text=plain), **named(value))
    assert all(len(line) <= 998 for line in lines_of(found))
    mail = read(found)
    meant = (before + value).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    part = mail.get_body(("plain",))
    assert part is not None
    assert part.get_payload(decode=True).decode().replace("\r\n", "\n").rstrip("\n") == meant  # type: ignore[union-attr]
    # What goes over the wire ends once, and is the mail again when each line has lost its first dot (RFC 5321 4.5.2).
    wire = found.content()
    assert wire.count(b"\r\n.\r\n") == 1
    assert wire.removesuffix(b".\r\n").replace(b"\r\n.", b"\r\n") == found.mail


def test_half_a_character_is_the_recipients_own_fault() -> None:
    for parts in ({"subject": plain_tag("first_name")}, {"text": plain_tag("first_name")}):
        with pytest.raises(RecipientRefused, match="Unicode"):
            letter(content=content(**parts), **named("\ud800"))


def test_no_line_begins_as_a_mailbox_file_separates_mails() -> None:
    found = letter(content=content(text=plain_tag("first_name")), **named("one\nFrom two\n"))
    assert b"\r\n=46rom two" in found.mail


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"content": content(subject=" ")}, "no subject"),
        ({"content": content(text="")}, "neither"),
        ({"content": Content("t", "s", "", "t", (), "0", "d-1")}, "lies at an ESP"),
        ({"content": Content("t", "s", "", plain_tag("order"), ("order",), "0")}, "no values"),
        ({"content": content(html=plain_tag("first_name"))}, "without escaping"),
        ({"variables": {"first_name": ["only one"]}}, "1 values of first_name"),
        ({"sender": Sender("nobody", "Shop")}, "sender's address"),
        ({"sender": Sender("jörg@shop.example.com", "Shop")}, "not ASCII"),
        ({"size": 101}, "1 to 100"),
        ({"size": 0}, "1 to 100"),
    ],
)
def test_a_faulty_batch_is_told_before_anything_is_sent(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ports.Unsendable, match=why):
        letter(**changes)


def test_sendgrids_relay_is_told_our_names() -> None:
    import json

    batch = {"campaign": "Frühling 'n' \"more\"", "pool": "news", "send_at": NOW}
    found = letter(1, {"x_smtpapi": True}, **batch)
    mail = read(found)
    told = json.loads(re.sub(r"\r\n", "", mail["X-SMTPAPI"]))
    own = ledger.own_attempt(relayed.ATTEMPT, "run1.1")
    assert told["unique_args"] == {"message_id": "run1.1", "attempt_id": own}
    assert (told["category"], told["ip_pool"]) == (["Fruhling 'n' \"more\""], "news")
    assert told["send_at"] == int(NOW.timestamp())
    assert "to" not in told
    assert "customers.example.com" not in mail["X-SMTPAPI"]
    assert "X-SMTPAPI" not in read(letter(1))
