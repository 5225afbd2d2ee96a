"""What is at stake with an order that could not be used: by which dead letters are worked on.

stake = (the order's money + a tenth of what the customer has spent so far + 10), three times that while the customer
waits for a mail about it; score = stake x (1 + days waited). The 10 and the growth with age see to it that nothing
waits for ever: a letter of no value overtakes one of 500 after some 50 days of the latter's absence.
"""

from datetime import timedelta
from decimal import Decimal

from domain import money

_FLOOR = 10
_CUSTOMER_SHARE = Decimal("0.1")
_WAITING_FACTOR = 3
_DAY = timedelta(days=1)


def stake(amount: Decimal | None, currency: str | None, *, customer_value: Decimal, waiting: bool) -> int:
    """Whole units of money, roughly: of a currency without decimals a hundredth, as its unit is worth about a cent."""
    worth = abs(amount or Decimal(0))
    if currency is not None and money.digits(currency) == 0:
        worth /= 100
    whole = worth + _CUSTOMER_SHARE * max(customer_value, Decimal(0)) + _FLOOR
    return int(whole) * (_WAITING_FACTOR if waiting else 1)


def score(stake: int, waited: timedelta) -> int:
    """The stake, growing by itself each day."""
    return int(stake * (1 + max(waited, timedelta(0)) / _DAY))
