from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.consent import Consent, ConsentStatus, is_granted

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def said(status: ConsentStatus, second: int = 0) -> Consent:
    return Consent(status, "opt-in", "checkout", "v1", AT + timedelta(seconds=second))


histories = st.lists(st.builds(said, st.sampled_from(ConsentStatus), st.integers(0, 3)), max_size=6)


def test_silence_is_no_consent() -> None:
    assert not is_granted([])


def test_the_newest_word_decides() -> None:
    granted, withdrawn = said(ConsentStatus.GRANTED, 1), said(ConsentStatus.WITHDRAWN, 2)
    assert is_granted([granted])
    assert not is_granted([granted, withdrawn])
    assert is_granted([withdrawn, said(ConsentStatus.GRANTED, 3)])


def test_of_two_at_one_instant_the_withdrawal_decides() -> None:
    both = [said(ConsentStatus.GRANTED), said(ConsentStatus.WITHDRAWN)]
    assert not is_granted(both)
    assert not is_granted(both[::-1])


@given(histories, st.randoms(use_true_random=False))
def test_order_and_repetition_of_the_history_do_not_matter(history: list[Consent], random) -> None:
    shuffled = history * 2
    random.shuffle(shuffled)
    assert is_granted(shuffled) is is_granted(history)


@given(histories)
def test_a_withdrawal_after_everything_always_holds(history: list[Consent]) -> None:
    assert not is_granted([*history, said(ConsentStatus.WITHDRAWN, 3)])
