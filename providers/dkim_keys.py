"""The public key inside a DKIM record, read by `cryptography`."""

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from domain.dns_answers import Malformed, tags
from domain.sender_domain import DkimKey

_ED25519_BITS = 256


def key_in(text: str) -> DkimKey:
    """Kind and length of the key of a record; empty for one that is revoked. Never raises."""
    try:
        found = tags(text)
        raw = base64.b64decode("".join(found.get("p", "").split()), validate=True)
    except (Malformed, binascii.Error, ValueError):
        return DkimKey(problem="p= is not Base64")
    if not raw:
        return DkimKey()
    try:
        if found.get("k", "rsa").lower() == "ed25519":
            Ed25519PublicKey.from_public_bytes(raw)
            return DkimKey("ed25519", _ED25519_BITS)
        key = load_der_public_key(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return DkimKey(problem="p= holds no public key: it may be cut off")
    if not isinstance(key, RSAPublicKey):
        return DkimKey(problem="p= holds a key of another kind than k= says")
    return DkimKey("rsa", key.key_size)
