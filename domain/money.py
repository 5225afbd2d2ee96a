"""Amounts of money: Decimal in the order's currency, never float."""

from decimal import Decimal, InvalidOperation

# ISO 4217 minor units where they are not two.
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DEFAULT_DIGITS = 2
# Amounts are stored as whole ten-thousandths: exact sums in every database, and room for three decimals.
SCALE = 4
UNIT = 10**SCALE
_CURRENCY_LETTERS = 3


class InvalidAmount(ValueError):
    """The text is not an amount in that currency."""


def digits(currency: str) -> int:
    """Say how many decimals the currency has (ISO 4217)."""
    return _DIGITS.get(currency, _DEFAULT_DIGITS)


def check_currency(text: str) -> str:
    """Return the three-letter code. Raises InvalidAmount."""
    code = text.strip().upper()
    if len(code) != _CURRENCY_LETTERS or not code.isascii() or not code.isalpha():
        raise InvalidAmount("a currency is a three-letter ISO 4217 code such as EUR")
    return code


def parse(text: str, currency: str) -> Decimal:
    """Read a decimal string such as '19.90'; no thousands separators, no more decimals than the currency has.

    Raises InvalidAmount.
    """
    try:
        amount = Decimal(text.strip())
    except InvalidOperation as error:
        raise InvalidAmount("an amount is a decimal number with a point, such as 19.90") from error
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 12:
        raise InvalidAmount("an amount is a finite number below a trillion")
    if -int(amount.normalize().as_tuple().exponent) > digits(currency):
        raise InvalidAmount(f"{currency} has {digits(currency)} decimals and the amount has more")
    return amount


def to_units(amount: Decimal) -> int:
    """Whole ten-thousandths of the currency's unit."""
    return int(amount.scaleb(SCALE).to_integral_exact())


def from_units(units: int) -> Decimal:
    """Whole ten-thousandths as a Decimal."""
    return Decimal(units).scaleb(-SCALE)
