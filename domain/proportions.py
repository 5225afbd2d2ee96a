"""Shares of a few among many, and how sure one can be of them."""

from math import sqrt

# Two-sided 95 %: the usual certainty. One-sided it is 97.5 %.
_CERTAINTY = 1.96


def bounds(count: int, of: int) -> tuple[float, float]:
    """The Wilson score interval of `count` among `of`: between which shares the true one lies, most likely.

    Unlike the plain interval it holds for few and for shares near 0 (Wilson 1927, J. Am. Stat. Assoc. 22:209). Nothing
    seen says nothing: 0 to 1.
    """
    if of <= 0:
        return 0.0, 1.0
    squared = _CERTAINTY**2
    share = count / of
    middle = share + squared / (2 * of)
    reach = _CERTAINTY * sqrt(share * (1 - share) / of + squared / (4 * of * of))
    whole = 1 + squared / of
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)
