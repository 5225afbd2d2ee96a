"""DKIM signatures by dkimpy. It signs about 120 mails a second and core (RSA, 2048 bits): let the relay sign if it can."""

import dkim

from domain import ports
from providers.smtp.config import SmtpConfig, SmtpNotConfigured

# What RFC 6376 section 5.4.1 recommends and what we write, of which the two headers of RFC 8058 must be covered. Each
# name stands once more than its header does, so that none can be added on the way (section 8.15); also those that
# we do not always write.
_SIGNED = (
    *("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type"),
    *("Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"),
)
_LEAST_BITS = 2048


class Signer:
    """Puts a signature above a mail."""

    def __init__(self, domain: str, selector: str, pem: bytes) -> None:
        self._domain, self._selector, self._pem = domain.encode(), selector.encode(), pem

    def signed(self, mail: bytes) -> bytes:
        """The mail with its signature as the first header. Raises Unsendable."""
        head = mail[: mail.index(b"\r\n\r\n")].lower()
        present = [name for name in _SIGNED if b"\r\n" + name.lower().encode() + b":" in b"\r\n" + head]
        names = [name.encode() for name in (*present, *_SIGNED)]
        try:
            signature: bytes = dkim.DKIM(mail).sign(
                self._selector, self._domain, self._pem, canonicalize=(b"relaxed", b"relaxed"), include_headers=names
            )
        except dkim.DKIMException as error:
            raise ports.Unsendable(f"the mail could not be signed ({type(error).__name__})") from None
        return signature + mail


def open_signer(config: SmtpConfig) -> Signer | None:
    """Who signs, if we do. Raises SmtpNotConfigured where the key cannot be used."""
    if config.dkim_key_file is None:
        return None
    return Signer(config.dkim_domain, config.dkim_selector, _key(config))


def _key(config: SmtpConfig) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    assert config.dkim_key_file is not None
    try:
        key = serialization.load_pem_private_key(config.dkim_key_file.read_bytes(), None)
    except OSError as error:
        raise SmtpNotConfigured(
            f"OMS_SMTP_DKIM_KEY_FILE (or dkim_key_file in routes.yaml) cannot be read: {error.strerror or error}"
        ) from None
    except (ValueError, TypeError):
        raise SmtpNotConfigured(
            "OMS_SMTP_DKIM_KEY_FILE (or dkim_key_file in routes.yaml) holds no private key in PEM without a password"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise SmtpNotConfigured(
            f"OMS_SMTP_DKIM_KEY_FILE (or dkim_key_file in routes.yaml) must hold an RSA key of {_LEAST_BITS} bits or more"
        )
    # dkimpy reads the traditional form only; `openssl genpkey` writes the other.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
