"""Amounts of money: Decimal in the order's currency, never float."""

from decimal import Decimal, InvalidOperation

# ISO 4217 minor units where they are not two.
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_DEFAULT_DIGITS = 2
# ISO 4217, list one: money that people pay with. Funds, metals and the codes for tests are no currencies of an order.
_IN_FORCE = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL "
    "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR "
    "RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD "
    "TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
# List three, what was withdrawn since shops have been on line: old orders are in it.
_WITHDRAWN = (
    "ADP AFA ANG ATS AZM BEF BGL BGN BYB BYR CSD CUC CYP DEM ECS EEK ESP FIM FRF GHC GRD HRK IEP ITL LTL LUF LVL "
    "MGF MRO MTL MZM NLG PTE ROL RUR SDD SIT SKK SLL SRG STD TJR TMM TPE TRL VEB VED VEF YUM ZMK ZWD ZWL ZWN ZWR"
)
CURRENCIES = frozenset(_IN_FORCE.split()) | frozenset(_WITHDRAWN.split())
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
