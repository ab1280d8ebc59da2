"""Every secret operation: hashes, MACs, sealing, and the Ed25519 keys that sign leases.

One master secret is given to the service; each use has its own key derived from it, so that none can stand in for
another. Comparisons are constant-time.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
_NONCE_BYTES = 12


class SealBroken(Exception):
    """This was sealed under another master secret, for another row, or has been changed."""

    def __str__(self) -> str:
        """Say what is the matter."""
        return (self.__doc__ or "").strip()


class _Mac:
    """HMAC-SHA-256 under one key, whose two padded blocks are hashed once: a third of the time of `hmac.digest`."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class Vault:
    """The keys derived from the master secret: finds, seals and MACs."""

    def __init__(self, master: str) -> None:
        """Derive a key for each use from the master secret (at least 32 characters)."""
        if len(master) < 32:
            raise ValueError("the master secret must have at least 32 characters")
        self._master = master.encode()
        self._find = self._derive("find")
        self._mac = _Mac(self._derive("mac"))
        self._seal = AESGCM(self._derive("seal"))

    def _derive(self, use: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=b"tidemark/" + use.encode()).derive(self._master)

    def finding_hash(self, text: str) -> bytes:
        """Hash a low-traffic secret so that it can be found again, but not guessed without the master (32 bytes)."""
        return hmac.digest(self._find, text.encode(), "sha256")

    def mac(self, message: bytes, length: int = 16) -> bytes:
        """Authenticate a message that the service will be shown again."""
        return self._mac.digest(message)[:length]

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt for keeping; opens only with the same context (the id of the row that holds it)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt what `seal` made; raises `SealBroken`."""
        try:
            return self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except InvalidTag:
            raise SealBroken from None


def digest(text: str) -> bytes:
    """SHA-256 of a random secret: enough for 256-bit secrets, which cannot be guessed (32 bytes)."""
    return hashlib.sha256(text.encode()).digest()


def same(one: bytes, other: bytes) -> bool:
    """Compare two secrets without telling by time where they differ."""
    return hmac.compare_digest(one, other)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key pair that signs leases, named by `kid`."""

    kid: str
    key: OKPKey

    @classmethod
    def make(cls) -> "SigningKey":
        """Make a new pair, named by its RFC 7638 thumbprint."""
        return cls.from_private(OKPKey.generate_key("Ed25519").as_bytes("PEM", private=True))

    @classmethod
    def from_private(cls, private_pem: bytes) -> "SigningKey":
        """Read a pair from what `private_pem` gave."""
        key = OKPKey.import_key(private_pem)
        return cls(key.thumbprint(), key)

    def private_pem(self) -> bytes:
        """Give the private key for sealing."""
        return self.key.as_bytes("PEM", private=True)

    def public_jwk(self) -> dict[str, Any]:
        """Give the public key as a JWK for `/.well-known/jwks.json`."""
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def sign(self, payload: bytes) -> str:
        """Sign; gives a compact JWS."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": "JWT"}
        return jws.serialize_compact(header, payload, self.key, algorithms=[ALGORITHM])
