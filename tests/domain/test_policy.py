"""The operator's rules that cannot be."""

import pytest

from domain.policy import SendingPolicy


@pytest.mark.parametrize("minutes", [12, 15, 60])
def test_how_long_mail_can_be_called_back(minutes: int) -> None:
    assert SendingPolicy(call_back_minutes=minutes).call_back_minutes == minutes


@pytest.mark.parametrize("minutes", [-1, 0, 11, 61])
def test_an_esp_forgets_mail_only_up_to_ten_minutes_before_it_goes(minutes: int) -> None:
    with pytest.raises(ValueError, match=r"call_back_minutes .* 12 to 60"):
        SendingPolicy(call_back_minutes=minutes)
