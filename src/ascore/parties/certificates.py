"""Certificates: a small authority for a trial, and what a party shows and expects.

A party's certificate names it in its subject alternative name, and nothing else. Whoever runs a
public key infrastructure uses that; nothing here but `new` writes a certificate.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ascore.errors import PartyError
from ascore.reading import read_regular
from ascore.runs.files import as_path, unwritable

DAYS = 90
"""Days for which certificates of a trial are valid."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names of parties: those of hosts without a dot, so that no wildcard can mean two of them."""
LIMIT = 2**16
"""Bytes of a file with a certificate or a key."""

AUTHORITY = "authority"


def require_name(name: str) -> None:
    """Refuses what cannot be the name of a party.

    Raises:
        PartyError: it has other characters than a-z, 0-9 and -.
    """
    if not NAME.fullmatch(name):
        message = f"{name!r} cannot be a party's name; use a-z, 0-9 and -, as in firm-a"
        raise PartyError(message)


def new(folder: Path, names: Sequence[str], days: int = DAYS) -> list[Path]:
    """Writes an authority and one certificate for each name.

    Args:
        folder: a new or empty one: `authority.pem`, `authority.key`, `NAME.pem`, `NAME.key`.
        names: of the parties, the environment's host among them.
        days: for which they are valid.

    Returns:
        The files.

    Raises:
        PartyError: a name is not possible, or there are files in the folder.
        RunError: it cannot be written.
    """
    for name in names:
        require_name(name)
        if name == AUTHORITY or names.count(name) > 1:
            message = f"{name!r} is there twice; give every party a name of its own"
            raise PartyError(message)
    folder = as_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            message = f"{folder} is not empty; give a new folder, no certificate is overwritten"
            raise PartyError(message)
        now = datetime.now(timezone.utc)
        until = now + timedelta(days=days)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ascore trial authority")])
        authority = (
            _builder(issuer, issuer, key.public_key(), now, until)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        files = _write(folder, AUTHORITY, authority, key)
        for name in names:
            own = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            certificate = (
                _builder(subject, issuer, own.public_key(), now, until)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(_usage(authority=False), critical=True)
                .add_extension(x509.ExtendedKeyUsage(both), critical=False)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
                .sign(key, hashes.SHA256())
            )
            files += _write(folder, name, certificate, own)
    except OSError as error:
        if isinstance(error, PartyError):
            raise
        raise unwritable(folder, error) from error
    return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    early = start - timedelta(minutes=5)  # clocks of two machines differ
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(early)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> list[Path]:
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    paths = [folder / f"{name}.pem", folder / f"{name}.key"]
    for path, content, mode in zip(paths, (public, secret), (0o644, 0o600), strict=True):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(handle, "wb") as file:
            file.write(content)
    return paths


@dataclass(frozen=True)
class Shown:
    """What a party shows: PEM texts, and until when they are valid."""

    authority: bytes
    certificate: bytes
    key: bytes
    until: datetime


class Credentials:
    """A party's certificate, key and authority, read again when a file changes.

    Args:
        authority, certificate, key: the files.
        name: of the party, which the certificate must name.
        tell: called with one line when a new set is taken, or refused and the last good one kept.

    Raises:
        PartyError: a file is missing or damaged, or the three do not belong together.
    """

    def __init__(
        self, authority: Path, certificate: Path, key: Path, name: str, tell: Callable[[str], None]
    ) -> None:
        self.files, self.name, self.tell = (authority, certificate, key), name, tell
        self._lock = threading.Lock()
        self._stamp = self._stamps()
        self._good = self._load()

    def current(self) -> Shown:
        """The newest good set."""
        with self._lock:
            stamp = self._stamps()
            if stamp == self._stamp:
                return self._good
            self._stamp = stamp
            try:
                self._good = self._load()
            except PartyError as error:
                self.tell(f"the certificates in use stay: {error}")
                return self._good
            self.tell(f"new certificates are in use, valid until {self._good.until:%Y-%m-%d}")
            return self._good

    def _stamps(self) -> list[tuple[int, int, int]]:
        stamps = []
        for path in self.files:
            try:
                about = path.stat()
                stamps.append((about.st_mtime_ns, about.st_size, about.st_ino))
            except OSError:
                stamps.append((0, 0, 0))
        return stamps

    def _load(self) -> Shown:
        contents = []
        for path in self.files:
            try:
                contents.append(read_regular(path, LIMIT, links=True))
            except (OSError, ValueError) as error:
                message = f"{error}; without it nothing starts: make one with `ascore certs new`"
                raise PartyError(message) from error
        authority, certificate, key = contents
        try:
            roots = x509.load_pem_x509_certificates(authority)
            chain = x509.load_pem_x509_certificates(certificate)
            secret = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError) as error:
            names = ", ".join(str(path) for path in self.files)
            message = f"{names} are not a certificate each and a key: {error}; restore them"
            raise PartyError(message) from error
        own = chain[0]
        self._check(own, chain[1:], roots, secret.public_key())
        return Shown(authority, certificate, key, own.not_valid_after_utc)

    def _check(
        self,
        own: x509.Certificate,
        between: list[x509.Certificate],
        roots: list[x509.Certificate],
        public: object,
    ) -> None:
        path, problem = self.files[1], ""
        now = datetime.now(timezone.utc)
        if public != own.public_key():
            problem = f"{path} is of another key than {self.files[2]}; restore the pair"
        elif names_of(own) != [self.name]:
            named = ", ".join(names_of(own)) or "nobody"
            problem = f"{path} names {named}, not {self.name}; use the certificate of {self.name}"
        elif not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
            problem = (
                f"{path} is valid from {own.not_valid_before_utc:%Y-%m-%d} to "
                f"{own.not_valid_after_utc:%Y-%m-%d}, not on {now:%Y-%m-%d}; have it renewed, or "
                "set this machine's clock"
            )
        elif not any(_issued(own, one) for one in (*roots, *between)):
            problem = f"{path} was not issued by {self.files[0]}; use files of one authority"
        if problem:
            raise PartyError(problem)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names in a certificate's subject alternative name."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]


def _issued(own: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        own.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
