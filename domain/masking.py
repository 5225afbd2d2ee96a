"""What ESPs and mailbox providers write in prose repeats addresses; ours must not."""

import re
from collections.abc import Iterable

_LONGEST = 500
# Whatever stands around an @, also written as %40 or full width; a quoted local part may hold spaces.
_ADDRESS = re.compile(r'(?:"[^"\n]{1,64}"|[^\s<>()\[\],;:"\']*)(?:@|%40|\uff20)[^\s<>()\[\],;:"\']*', re.IGNORECASE)


def masked(text: str, known: Iterable[str] = ()) -> str:
    """Cut addresses out of a foreign text, whatever looks like one and those `known`, and cut it to a line's length."""
    for address in known:
        if address and address in text:
            text = text.replace(address, "[address]")
    # Before the pattern, which is quadratic in the length of a text without blanks.
    text = _ADDRESS.sub("[address]", text[: 4 * _LONGEST])
    return " ".join(text.replace("\0", " ").split())[:_LONGEST]
