"""The schema of a database: brought up or down by the migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import migrations


def _config(url: str | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision. Runs an event loop of its own: call it from no other."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to a revision; `base` is an empty database."""
    command.downgrade(_config(url), revision)


def check(url: str) -> None:
    """Raise if the migrations do not make exactly what the models describe."""
    command.check(_config(url))


def head() -> str:
    """Give the newest revision."""
    newest = ScriptDirectory.from_config(_config(None)).get_current_head()
    if newest is None:
        raise RuntimeError("there are no migrations")
    return newest
