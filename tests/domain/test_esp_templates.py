"""Templates at an ESP: which one is meant, and a mailer that looks whether it is still the pinned one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import ports
from domain.esp_templates import (
    KeptTemplate,
    Parts,
    PinnedMailer,
    TemplateGone,
    TemplateStoreError,
    Version,
    as_template,
    find,
    kept_name,
    number_of,
    numbered,
    version_of,
)
from domain.ledger import Outcome, OutcomeKind
from tests.conftest import NOW
from tests.providers.contract import a_batch

OLD, NEW = Version("1", "one", NOW, active=True), Version("2", "two", NOW, active=False)
KEPT = KeptTemplate("d-1", "win-back", NOW, (NEW, OLD))


def test_a_name_or_an_id_means_one_template() -> None:
    other = replace(KEPT, id="d-2", name="other")
    assert find([KEPT, other], "win-back") is KEPT
    assert find([KEPT, other], "d-2") is other
    with pytest.raises(TemplateGone, match=r"2 templates called 'win-back' \(d-1, d-2\)"):
        find([KEPT, replace(other, name="win-back")], "win-back")


def test_a_version_is_the_active_one_unless_it_is_named() -> None:
    assert version_of(KEPT, None) is OLD
    assert version_of(KEPT, "two") is version_of(KEPT, "2") is NEW
    with pytest.raises(TemplateGone, match="0 versions '3'"):
        version_of(KEPT, "3")


def test_names_of_runs_and_of_numbered_versions() -> None:
    assert kept_name(as_template("win-back")) == "win-back"
    assert kept_name("win-back") is None
    assert number_of(numbered("win-back", 12)) == ("win-back", 12)
    assert number_of("win-back-v0") == ("win-back-v0", 0)


def test_line_ends_say_nothing_and_all_else_does() -> None:
    one = Parts("s", "<p>\r\n</p>", "t")
    assert one.hash == Parts("s", "<p>\n</p>\n", "t").hash
    assert len({one.hash, Parts("s", "<p></p>", "t").hash, Parts("s\0<p>", "</p>", "t").hash}) == 3


class Wire:
    """An ESP's adapter, faked at its port: it takes all and keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[ports.Batch] = []
        self.closed = False

    capabilities = ports.Capabilities(1000, 1, variables_per_recipient=True, events=True)

    def send(self, batch: ports.Batch) -> Outcome:
        self.batches.append(batch)
        return Outcome(OutcomeKind.ACCEPTED)

    def close(self) -> None:
        self.closed = True


def looks(*answers: str | Exception | None) -> tuple[PinnedMailer, Wire, list[int]]:
    """A pinned mailer, what it sends to, and the seconds by which the clock goes on."""
    wire, seconds, asked = Wire(), [0], iter(answers)

    def changed() -> str | None:
        answer = next(asked)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return PinnedMailer(wire, changed, lambda: NOW + timedelta(seconds=seconds[0])), wire, seconds


@pytest.fixture
def batch() -> ports.Batch:
    one = a_batch()
    return replace(one, content=replace(one.content, esp_template_id="d-1"))


def test_mail_names_the_template_and_carries_no_part_of_ours(batch: ports.Batch) -> None:
    mailer, wire, _ = looks(None)
    assert mailer.send(batch).kind is OutcomeKind.ACCEPTED
    (sent,) = wire.batches
    assert (sent.content.subject, sent.content.html, sent.content.text) == ("", "", "")
    assert (sent.content.esp_template_id, sent.variables) == ("d-1", batch.variables)
    assert mailer.capabilities is wire.capabilities
    mailer.close()
    assert wire.closed


def test_it_looks_every_fifteen_seconds_and_stops_at_a_change(batch: ports.Batch) -> None:
    mailer, wire, seconds = looks(None, None, "another version is active")
    for seconds[0] in (0, 14, 15, 29):
        assert mailer.send(batch).kind is OutcomeKind.ACCEPTED
    seconds[0] = 30
    refused = mailer.send(batch)
    assert (refused.kind, refused.stop_provider, refused.local) == (OutcomeKind.NOT_SENT, True, True)
    assert refused.detail == "another version is active"
    assert len(wire.batches) == 4


def test_where_it_cannot_be_seen_nothing_is_sent_and_nothing_is_stopped(batch: ports.Batch) -> None:
    mailer, wire, _ = looks(TemplateStoreError("the ESP is silent"), None)
    put_off = mailer.send(batch)
    assert (put_off.kind, put_off.stop_provider, put_off.local) == (OutcomeKind.NOT_SENT, False, True)
    assert put_off.retry_after == timedelta(seconds=15)
    assert wire.batches == []
    assert mailer.send(batch).kind is OutcomeKind.ACCEPTED
