"""The keyed hash of an address, remembered for a while: orders repeat their customers' addresses, and it costs 15 µs."""

from functools import lru_cache

from domain import addresses


@lru_cache(maxsize=20_000)
def hashed(email: str | None, pepper: str) -> str | None:
    """The address hash, or None for no address and for one that cannot be mailed."""
    if not email:
        return None
    try:
        return addresses.address_hash(email, pepper)
    except addresses.InvalidAddress:
        return None
