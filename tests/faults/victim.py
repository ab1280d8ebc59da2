"""A worker in a process of its own that does all that is due, and kills itself where it is told."""

import asyncio
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from report_worker import delivering, jobs
from report_worker.jobs import Tools
from report_worker.press import Forms, Press
from services.db import Sessions, make_engine, make_sessions
from services.delivery import FolderMailer, PostOffice
from services.signing import Vault

WHERE = ("before the commit", "after the commit", "while rendering", "after sending")


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker stands on, and the time that its clock shows."""

    database_url: str
    secret: str
    maildir: Path
    now: datetime


class PlainPress(Press):
    """Prints a document as itself, so that a hundred months can be closed in a minute."""

    def __init__(self, dies_at: int = 0) -> None:
        super().__init__()
        self._left = dies_at

    async def render(self, _render: object, document: bytes) -> Forms:
        self._left -= 1
        if self._left == 0:
            die()
        return dict.fromkeys(("json", "pdf.it", "pdf.en"), document)


class MortalMailer(FolderMailer):
    """A maildir whose sender dies once it has sent so many letters, before it can say so."""

    def __init__(self, folder: Path, dies_at: int = 0) -> None:
        super().__init__(folder)
        self._left = dies_at

    async def send(self, message: EmailMessage) -> None:
        await super().send(message)
        self._left -= 1
        if self._left == 0:
            die()


def die() -> None:
    """As by kill -9: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def tools(post: Post, sessions: Sessions, *, render: int = 0, send: int = 0) -> Tools:
    """What the worker works with; `render` and `send` are where it dies."""
    vault = Vault(post.secret)
    office = PostOffice(MortalMailer(post.maildir, send), vault, "Tidemark <a@b.example>", "https://x.example")
    return Tools(sessions, lambda: post.now, PlainPress(render), vault, office)


async def work(made: Tools) -> None:
    """All that is due."""
    await jobs.close_periods({"tools": made})
    await delivering.send_letters({"tools": made})


def live(post: Post, where: str = "", number: int = 0) -> None:
    """Work as a process, and die at the given place the given time it is reached."""
    asyncio.run(_live(post, where, number))


async def _live(post: Post, where: str, number: int) -> None:
    engine = make_engine(post.database_url, 2)
    sessions = make_sessions(engine)
    left = number

    def reached(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    if where == "before the commit":
        event.listen(engine.sync_engine, "commit", reached)
    if where == "after the commit":
        event.listen(Session, "after_commit", reached)
    render, send = (number if where == place else 0 for place in ("while rendering", "after sending"))
    await work(tools(post, sessions, render=render, send=send))
    await engine.dispose()


def count_commits(engine: AsyncEngine, reached: list[int]) -> None:
    """Count the commits of an engine."""
    event.listen(engine.sync_engine, "commit", lambda _connection: reached.append(1))
