"""Signatures, verified by dkimpy with a DNS of our own."""

import base64
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from providers.smtp.config import SmtpNotConfigured
from providers.smtp.mailer import open_mailer
from tests.conftest import LINK_KEY
from tests.providers.smtp import relayed, sink
from tests.providers.smtp.sink import Sink

DOMAIN = "shop.example.com"
# RFC 8058 section 4 asks for the first two; whatever a reader is shown or a program acts upon besides.
COVERED = (
    *("list-unsubscribe", "list-unsubscribe-post", "from", "to", "subject", "date", "message-id", "reply-to"),
    *("mime-version", "content-type", "feedback-id"),
)


@pytest.fixture(scope="module")
def keys() -> dict[str, rsa.RSAPrivateKey]:
    return {selector: rsa.generate_private_key(65537, 2048) for selector in ("old", "new")}


def written(key: rsa.RSAPrivateKey, path: Path) -> Path:
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def record(key: rsa.RSAPrivateKey) -> bytes:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


def signed_by(selector: str, key: rsa.RSAPrivateKey, tmp_path: Path) -> bytes:
    scripted = Sink()
    path = written(key, tmp_path / f"{selector}.pem")
    settings: dict[str, Any] = {"dkim_domain": DOMAIN, "dkim_selector": selector, "dkim_key_file": path}
    with sink.running(scripted), relayed.mailer_for(scripted, **settings) as mailer:
        mailer.send(relayed.a_batch(1, variables={"first_name": ["Jörg . "]}))
    return scripted.taken[0][2]


def is_good(mail: bytes, published: dict[str, rsa.RSAPrivateKey]) -> bool:
    names = {f"{selector}._domainkey.{DOMAIN}.".encode(): record(key) for selector, key in published.items()}
    return bool(dkim.verify(mail, dnsfunc=lambda name, **_: names.get(name)))


def test_a_signature_is_good_and_covers_what_it_must(keys: dict[str, rsa.RSAPrivateKey], tmp_path: Path) -> None:
    mail = signed_by("new", keys["new"], tmp_path)
    assert mail.startswith(b"DKIM-Signature:")
    assert is_good(mail, keys)
    assert not is_good(mail, {"new": keys["old"]})
    checked = dkim.DKIM(mail)
    checked.verify(dnsfunc=lambda _, **__: record(keys["new"]))
    names = [name.decode() for name in checked.include_headers]
    for name in COVERED:
        assert names.count(name) >= 2, name  # once more than it is there


@pytest.mark.parametrize(
    ("what", "by"),
    [
        (b"Subject: =?", b"Subject: Spam =?"),
        (b"List-Unsubscribe: <https://shop", b"List-Unsubscribe: <https://other"),
        (b"Hello", b"Hullo"),
        (b"To: person0", b"To: person1"),
        (b"\r\nFrom:", b"\r\nSubject: another\r\nFrom:"),
        (b"\r\nFrom:", b"\r\nReply-To: a@b.example\r\nFrom:"),
        (b"\r\nFrom:", b"\r\nList-Unsubscribe: <https://other.example/>\r\nFrom:"),
    ],
)
def test_whatever_is_changed_or_put_in_breaks_it(
    keys: dict[str, rsa.RSAPrivateKey], tmp_path: Path, what: bytes, by: bytes
) -> None:
    mail = signed_by("new", keys["new"], tmp_path)
    assert mail.count(what) >= 1
    assert not is_good(mail.replace(what, by, 1), keys)


def test_a_key_is_changed_without_a_gap(keys: dict[str, rsa.RSAPrivateKey], tmp_path: Path) -> None:
    """Both selectors are published while mail signed by the old one is still under way: reliability.md F51."""
    before, after = (signed_by(selector, keys[selector], tmp_path) for selector in ("old", "new"))
    assert is_good(before, keys)
    assert is_good(after, keys)
    assert not is_good(before, {"new": keys["new"]})


def test_a_key_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = written(rsa.generate_private_key(65537, 1024), tmp_path / "short.pem")
    settings = {"dkim_domain": DOMAIN, "dkim_selector": "s", "dkim_key_file": path}
    with pytest.raises(SmtpNotConfigured, match="2048 bits"):
        open_mailer(relayed.settings_for(25, **settings), link_key=LINK_KEY)
