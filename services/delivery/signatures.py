"""Signatures of webhooks as Standard Webhooks has them: ed25519 (`v1a`) or HMAC-SHA256 (`v1`). Pure."""

import base64
import secrets
from datetime import datetime
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

Scheme = Literal["ed25519", "hmac"]


def make_secret() -> bytes:
    """Make a signing secret (32 bytes)."""
    return secrets.token_bytes(32)


def shown_key(scheme: str, secret: bytes) -> str:
    """Give what the receiver needs: the public key (`whpk_…`), or the secret itself (`whsec_…`)."""
    if scheme == "ed25519":
        public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        return "whpk_" + base64.b64encode(public).decode()
    return "whsec_" + base64.b64encode(secret).decode()


def signature(scheme: str, secret: bytes, message_id: str, now: datetime, body: str) -> str:
    """Sign one message."""
    if scheme == "hmac":
        return Webhook(secret).sign(message_id, now, body)
    signed = f"{message_id}.{int(now.timestamp())}.{body}".encode()
    return "v1a," + base64.b64encode(Ed25519PrivateKey.from_private_bytes(secret).sign(signed)).decode()
