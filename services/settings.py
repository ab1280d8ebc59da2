"""Every setting, read once at a root (API, worker, migrations, CLI) and handed down as values.

Variables are named `TIDEMARK_…`; a secret may also be a file of that name in `/run/secrets`. A misspelt variable is an
error, not silence.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "TIDEMARK_"
_SECRETS = Path("/run/secrets")


class UnknownSetting(ValueError):
    """A TIDEMARK_ variable is set that names no setting."""


class Settings(BaseSettings):
    """What an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, extra="forbid", secrets_dir=_SECRETS if _SECRETS.is_dir() else None
    )

    database_url: str = Field(
        default="",
        description="PostgreSQL 15 or later, as postgresql+asyncpg://user:password@host/name.",
    )
    migrate_database_url: str = Field(
        default="", description="The same database as the owner of the schema; empty: as database_url."
    )
    redis_url: str = Field(default="", description="Valkey or Redis, as redis://host:6379/0.")
    master_secret: SecretStr = Field(
        default=SecretStr(""),
        description="At least 32 random characters; every key of the service derives from it. Losing it loses "
        "the licence keys' sealed copies and every echo.",
    )
    issuer: str = Field(default="https://licence.tidemark.example", description="`iss` of every lease.")
    host: str = Field(default="0.0.0.0", description="Address the API listens on.")  # noqa: S104
    port: int = Field(default=8080, ge=0, le=65535, description="Port the API listens on.")
    database_connections: int = Field(default=10, ge=2, le=500, description="Connections a process may hold.")
    public_url: str = Field(
        default="http://127.0.0.1:8080", description="Where people reach the portal: the links in letters begin so."
    )
    mail_from: str = Field(default="Tidemark <noreply@tidemark.example>", description="Who letters are from.")
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="The mail server, as smtp://user:password@host:587 or smtps://host:465; empty: mail_folder.",
    )
    mail_folder: str = Field(default="", description="A maildir for letters where there is no mail server.")
    trusted_proxies: str = Field(
        default="",
        description="Networks of the proxies in front, as 10.0.0.0/8,fd00::/8: only they may say a client's address.",
    )
    webhooks_to_private_addresses: bool = Field(
        default=False, description="For development: webhooks may go to private addresses, and by http."
    )
    log_level: str = Field(default="info", description="debug, info, warning or error.")

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises `UnknownSetting` for a variable that no setting has."""
        known = {_PREFIX + name.upper() for name in cls.model_fields}
        environment = os.environ  # noqa: TID251 - the root that reads it
        unknown = sorted(name for name in environment if name.startswith(_PREFIX) and name not in known)
        if unknown:
            raise UnknownSetting(f"no such setting: {', '.join(unknown)}")
        return cls()
