"""A certificate authority and what it signs, made for one test session."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Authority:
    """`file`: what a client trusts."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def context(self, name: str, *, expired: bool = False) -> ssl.SSLContext:
        """Of a server of that name, or of that IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name, self.certificate.subject, key, days=-1 if expired else 1)
        try:
            other: x509.GeneralName = x509.IPAddress(ip_address(name))
        except ValueError:
            other = x509.DNSName(name)
        signed = builder.add_extension(x509.SubjectAlternativeName([other]), critical=False).sign(
            self.key, hashes.SHA256()
        )
        path = self.file.parent / f"{name}{'-expired' if expired else ''}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + signed.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def authority(folder: Path) -> Authority:
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {folder.name}")])
    found = (
        _builder(f"test authority {folder.name}", name, key, days=1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "authority.pem"
    file.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    return Authority(file, key, found)


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - timedelta(days=2))
        .not_valid_after(_NOW + timedelta(days=days))
    )
