"""Getting to a relay: TLS with real certificates, log in, and what must never go in clear."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from domain.ledger import Outcome, OutcomeKind
from providers.smtp.config import SmtpConfig, SmtpNotConfigured
from providers.smtp.mailer import open_mailer
from tests.conftest import LINK_KEY
from tests.providers import loopback
from tests.providers.smtp import certificates, relayed, sink
from tests.providers.smtp.certificates import Authority
from tests.providers.smtp.sink import Sink

K = OutcomeKind
PASSWORD = "a-password-that-must-never-be-seen"
LOG_IN = {"user": "apikey", "password": SecretStr(PASSWORD)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificates.authority(tmp_path_factory.mktemp("authority"))


def sent(scripted: Sink, **changes: Any) -> Outcome:
    with sink.running(scripted), relayed.mailer_for(scripted, **changes) as mailer:
        outcome = mailer.send(relayed.a_batch(2))
    assert (len(scripted.taken) == 2) == (outcome.kind is K.ACCEPTED)
    assert PASSWORD not in repr(mailer) + str(vars(mailer)) + outcome.detail
    return outcome


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_is_good_is_needed_and_enough(authority: Authority, security: str) -> None:
    scripted = Sink(tls=authority.context("127.0.0.1"), tls_at_once=security == "tls")
    assert sent(scripted, security=security, ca_file=authority.file).kind is K.ACCEPTED


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("name", "trusted", "expired", "why"),
    [
        ("relay.example.com", True, False, "IP address mismatch"),
        ("127.0.0.1", False, False, "unable to get local issuer certificate"),
        ("127.0.0.1", True, True, "certificate has expired"),
    ],
)
def test_any_other_certificate_ends_it_before_a_word_of_a_mail(
    authority: Authority, tmp_path: Path, security: str, name: str, trusted: bool, expired: bool, why: str
) -> None:
    trust = authority if trusted else certificates.authority(tmp_path / "stranger")
    scripted = Sink(tls=authority.context(name, expired=expired), tls_at_once=security == "tls")
    outcome = sent(scripted, security=security, ca_file=trust.file, **LOG_IN)
    assert (outcome.kind, outcome.stop_provider) == (K.NOT_SENT, True)
    assert why in outcome.detail
    assert not any(line.startswith(("AUTH", "MAIL")) for line in scripted.heard)


def test_the_machines_own_authorities_do_not_know_ours(authority: Authority) -> None:
    outcome = sent(Sink(tls=authority.context("127.0.0.1"), tls_at_once=True), security="tls")
    assert (outcome.kind, outcome.stop_provider) == (K.NOT_SENT, True)


def test_where_starttls_is_not_offered_nothing_is_said(authority: Authority) -> None:
    scripted = Sink(offers=("PIPELINING", "AUTH PLAIN"))
    outcome = sent(scripted, security="starttls", ca_file=authority.file, **LOG_IN)
    assert (outcome.kind, outcome.stop_provider) == (K.NOT_SENT, True)
    assert len(scripted.heard) == 1  # EHLO


def test_words_that_somebody_put_behind_starttls_are_not_believed(authority: Authority) -> None:
    context = authority.context("127.0.0.1")
    scripted = Sink(lambda at, _: "220 go\r\n250 sink" if at == "STARTTLS" else None, tls=context)
    outcome = sent(scripted, security="starttls", ca_file=authority.file)
    assert (outcome.kind, outcome.detail) == (K.NOT_SENT, "the relay cannot be reached: words in clear behind STARTTLS")


def test_a_relay_that_speaks_no_tls_is_not_reached() -> None:
    scripted = Sink()
    outcome = sent(scripted, security="tls", connect_timeout_seconds=1.0)
    assert (outcome.kind, outcome.stop_provider) == (K.NOT_SENT, False)


def test_a_refused_connection_is_not_sent() -> None:
    config = relayed.settings_for(loopback.closed_port())
    outcome = open_mailer(config, link_key=LINK_KEY).send(relayed.a_batch())
    assert (outcome.kind, dict(outcome.exceptions)) == (K.NOT_SENT, {})
    assert "the relay cannot be reached: 127.0.0.1 refused the connection" in outcome.detail


PLAIN = "AUTH PLAIN " + base64.b64encode(f"\0apikey\0{PASSWORD}".encode()).decode()
LOGIN = ["AUTH LOGIN", *(base64.b64encode(one.encode()).decode() for one in ("apikey", PASSWORD))]


@pytest.mark.parametrize(("offer", "said"), [("AUTH LOGIN PLAIN", [PLAIN]), ("AUTH LOGIN CRAM-MD5", LOGIN)])
def test_we_log_in_as_the_relay_offers(authority: Authority, offer: str, said: list[str]) -> None:
    scripted = Sink(tls=authority.context("127.0.0.1"), offers=("PIPELINING", offer))
    assert sent(scripted, security="starttls", ca_file=authority.file, **LOG_IN).kind is K.ACCEPTED
    assert [line for line in scripted.heard if line in said] == said
    assert scripted.heard.index(said[0]) > scripted.heard.index("STARTTLS")


@pytest.mark.parametrize(
    ("reply", "stops"), [("535 5.7.8 no", True), ("534 5.7.9 no", True), ("454 4.7.0 later", False)]
)
def test_a_log_in_that_is_refused_sends_nothing(authority: Authority, reply: str, stops: bool) -> None:
    for offer in ("AUTH PLAIN", "AUTH LOGIN"):
        scripted = Sink(lambda at, _: reply if at == "AUTH" else None, ("PIPELINING", offer))
        outcome = sent(scripted, **LOG_IN)
        assert (outcome.kind, outcome.stop_provider, outcome.status) == (K.NOT_SENT, stops, int(reply[:3]))


@pytest.mark.parametrize("offer", ["AUTH CRAM-MD5", "SIZE"])
def test_a_relay_that_offers_no_way_to_log_in_is_stopped(offer: str) -> None:
    outcome = sent(Sink(offers=(offer,)), **LOG_IN)
    assert (outcome.kind, outcome.stop_provider) == (K.NOT_SENT, True)


def test_connections_are_kept_and_renewed_after_as_many_mails_as_the_relay_likes() -> None:
    scripted = Sink()
    with sink.running(scripted), relayed.mailer_for(scripted, messages_per_connection=5) as mailer:
        for _ in range(3):
            assert mailer.send(relayed.a_batch(4)).kind is K.ACCEPTED
    assert len(scripted.taken) == 12
    assert scripted.connections == 3
    assert scripted.heard.count("QUIT") == 3


def test_with_pipelining_a_mail_is_one_round_trip_and_without_it_four() -> None:
    for offers in (sink.OFFERS, sink.OFFERS[1:]):
        scripted = Sink(offers=offers)
        sent(scripted)
        verbs = [line.split()[0] for line in scripted.heard]
        assert verbs == ["EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "DATA", "QUIT"]


def test_reports_are_asked_for_where_the_relay_gives_them() -> None:
    scripted = Sink()
    sent(scripted, dsn_notify=["success", "failure"])
    mail, rcpt = scripted.heard[1:3]
    assert mail.endswith(" RET=HDRS ENVID=run1.0")
    assert rcpt == (
        "RCPT TO:<person0@customers.example.com> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;person0@customers.example.com"
    )
    scripted = Sink(offers=("PIPELINING",))
    sent(scripted)
    assert scripted.heard[2] == "RCPT TO:<person0@customers.example.com>"


def test_what_a_relay_cannot_take_is_that_recipients_own_matter() -> None:
    addresses = ["person0@customers.example.com", "jörg@example.com", "not an address"]
    scripted = Sink(offers=("PIPELINING",))
    with sink.running(scripted), relayed.mailer_for(scripted) as mailer:
        outcome = mailer.send(batch := relayed.a_batch(addresses=addresses))
    found = relayed.each(outcome, batch)
    assert [(one.kind, one.local) for one in found] == [(K.ACCEPTED, False), (K.REJECTED, True), (K.REJECTED, True)]
    assert "SMTPUTF8" in found[1].detail
    scripted = Sink()
    with sink.running(scripted), relayed.mailer_for(scripted) as mailer:
        assert relayed.each(mailer.send(batch), batch)[1].kind is K.ACCEPTED
    assert scripted.taken[1][1] == "jörg@example.com"


def test_a_mail_too_large_for_the_relay_is_not_begun() -> None:
    scripted = Sink(offers=("PIPELINING", "SIZE 100"))
    with sink.running(scripted), relayed.mailer_for(scripted) as mailer:
        outcome = mailer.send(relayed.a_batch())
    assert {one.kind for one in outcome.exceptions.values()} == {K.REJECTED}
    assert len(outcome.exceptions) == 3  # the whole must not be halved and asked again
    assert not any(line.startswith("MAIL") for line in scripted.heard)


def test_nothing_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent(Sink(offers=("PIPELINING", "AUTH PLAIN")), **LOG_IN)
    assert PASSWORD not in caplog.text
    assert "customers.example.com" not in caplog.text


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"host": "relay.example.com", "security": "none"}, "loopback only"),
        ({"host": "relay.example.com", "user": "joe"}, "together"),
        ({"host": "relay.example.com", "dkim_domain": "shop.example.com"}, "together"),
        ({"return_mailbox": "returns"}, "e-mail address"),
        ({"return_mailbox": "re+turns@shop.example.com"}, "without a +"),
        ({"hello_name": "shop\r\nMAIL"}, "letters, digits"),
        ({"feedback_sender_id": "shop"}, "pattern"),
        ({"batch_size": 1001}, "1000"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SmtpConfig(**values)


def test_without_a_relay_or_with_files_that_are_none_it_does_not_open(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    signed = {"dkim_domain": "shop.example.com", "dkim_selector": "s"}
    for values, name in (
        ({}, "OMS_SMTP_HOST"),
        ({"host": "relay.example.com", "ca_file": nothing}, "OMS_SMTP_CA_FILE"),
        ({"host": "relay.example.com", "ca_file": junk}, "OMS_SMTP_CA_FILE"),
        ({"host": "relay.example.com", "dkim_key_file": nothing, **signed}, "OMS_SMTP_DKIM_KEY_FILE"),
        ({"host": "relay.example.com", "dkim_key_file": junk, **signed}, "OMS_SMTP_DKIM_KEY_FILE"),
    ):
        with pytest.raises(SmtpNotConfigured, match=name):
            open_mailer(SmtpConfig(**values), link_key=LINK_KEY)


@pytest.mark.parametrize("update", [{"user": "joe"}, {"host": "relay.example.com"}])
def test_what_routes_yaml_makes_of_the_settings_is_looked_at_again(update: dict[str, Any]) -> None:
    config = relayed.settings_for(25).model_copy(update=update)
    with pytest.raises(SmtpNotConfigured, match="by half"):
        open_mailer(config, link_key=LINK_KEY)
