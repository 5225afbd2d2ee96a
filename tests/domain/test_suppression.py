import pytest

from domain import suppression
from domain.suppression import (
    BY_REACH,
    SCOPE_OF,
    STRENGTH,
    NotLifted,
    Reason,
    Scope,
    Stream,
    blocks,
    check_lift,
    scopes_blocking,
)

# facts/reliability.md section 4: reason → stops marketing, stops transactional mail.
MATRIX = [
    (Reason.HARD_BOUNCE, True, True),
    (Reason.INVALID, True, True),
    (Reason.COMPLAINT, True, True),
    (Reason.ERASED, True, True),
    (Reason.UNSUBSCRIBE, True, False),
    (Reason.SOFT_LIMIT, True, False),
    (Reason.MANUAL, True, False),
]


def disagreements() -> list[tuple[Reason, Stream]]:
    """Where the rules differ from the table."""
    return [
        (reason, stream)
        for reason, *expected in MATRIX
        for stream, stops in zip((Stream.MARKETING, Stream.TRANSACTIONAL), expected, strict=True)
        if suppression.blocks(suppression.SCOPE_OF[reason], stream) is not stops
    ]


def test_each_reason_stops_the_streams_that_the_table_says() -> None:
    assert {reason for reason, *_ in MATRIX} == set(Reason)
    assert disagreements() == []


@pytest.mark.parametrize(
    ("mutant", "caught"),
    [
        ({Reason.UNSUBSCRIBE: Scope.ALL}, (Reason.UNSUBSCRIBE, Stream.TRANSACTIONAL)),
        ({Reason.HARD_BOUNCE: Scope.MARKETING}, (Reason.HARD_BOUNCE, Stream.TRANSACTIONAL)),
        ({Reason.COMPLAINT: Scope.MARKETING}, (Reason.COMPLAINT, Stream.TRANSACTIONAL)),
        ({Reason.SOFT_LIMIT: Scope.ACCOUNT}, (Reason.SOFT_LIMIT, Stream.TRANSACTIONAL)),
    ],
)
def test_the_table_catches_a_rule_that_is_wrong(
    mutant: dict[Reason, Scope], caught: tuple[Reason, Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression, "SCOPE_OF", SCOPE_OF | mutant)
    assert disagreements() == [caught]


def test_the_table_catches_a_scope_that_is_read_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "blocks", lambda _scope, _stream: True)
    assert (Reason.UNSUBSCRIBE, Stream.TRANSACTIONAL) in disagreements()
    monkeypatch.setattr(suppression, "blocks", lambda _scope, stream: stream is Stream.MARKETING)
    assert (Reason.HARD_BOUNCE, Stream.TRANSACTIONAL) in disagreements()


@pytest.mark.parametrize(
    ("scope", "marketing", "transactional"),
    [(Scope.ALL, True, True), (Scope.ACCOUNT, True, True), (Scope.MARKETING, True, False)],
)
def test_which_stream_each_scope_stops(scope: Scope, marketing: bool, transactional: bool) -> None:
    assert blocks(scope, Stream.MARKETING) is marketing
    assert blocks(scope, Stream.TRANSACTIONAL) is transactional


def test_the_scopes_of_a_stream_are_those_that_block_it() -> None:
    assert set(scopes_blocking(Stream.MARKETING)) == set(Scope)
    assert set(scopes_blocking(Stream.TRANSACTIONAL)) == {Scope.ALL, Scope.ACCOUNT}


def test_every_reason_has_a_scope_and_one_strength_and_every_scope_a_reach() -> None:
    assert set(SCOPE_OF) == set(Reason)
    assert sorted(STRENGTH) == sorted(Reason)
    assert sorted(BY_REACH) == sorted(Scope)


def test_a_reason_for_all_mail_is_named_before_one_for_marketing() -> None:
    reaches = [BY_REACH.index(SCOPE_OF[reason]) for reason in STRENGTH]
    assert reaches == sorted(reaches, reverse=True)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("asked_for", [False, True])
def test_what_may_be_lifted(reason: Reason, asked_for: bool) -> None:
    refused = reason is Reason.ERASED or (reason is Reason.COMPLAINT and not asked_for)
    if refused:
        with pytest.raises(NotLifted):
            check_lift([Reason.MANUAL, reason], asked_for=asked_for)
    else:
        check_lift([Reason.MANUAL, reason], asked_for=asked_for)
