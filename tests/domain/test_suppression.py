import pytest

from domain.suppression import SCOPE_OF, STRENGTH, Reason, Scope, Stream, blocks, scopes_blocking


@pytest.mark.parametrize(
    ("reason", "marketing", "transactional"),
    [
        (Reason.HARD_BOUNCE, True, True),
        (Reason.INVALID, True, True),
        (Reason.COMPLAINT, True, True),
        (Reason.ERASED, True, True),
        (Reason.UNSUBSCRIBE, True, False),
        (Reason.SOFT_LIMIT, True, False),
        (Reason.MANUAL, True, False),
    ],
)
def test_which_stream_each_reason_stops(reason: Reason, marketing: bool, transactional: bool) -> None:
    assert blocks(SCOPE_OF[reason], Stream.MARKETING) is marketing
    assert blocks(SCOPE_OF[reason], Stream.TRANSACTIONAL) is transactional


def test_the_scopes_of_a_stream_are_those_that_block_it() -> None:
    assert set(scopes_blocking(Stream.MARKETING)) == set(Scope)
    assert scopes_blocking(Stream.TRANSACTIONAL) == (Scope.ALL,)


def test_every_reason_has_a_scope_and_one_strength() -> None:
    assert set(SCOPE_OF) == set(Reason)
    assert sorted(STRENGTH) == sorted(Reason)


def test_a_reason_for_all_mail_is_named_before_one_for_marketing() -> None:
    scopes = [SCOPE_OF[reason] for reason in STRENGTH]
    assert scopes == sorted(scopes, key=[Scope.ALL, Scope.MARKETING].index)
