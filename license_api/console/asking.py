"""A page that asks before an act of consequence: what it will do, with a reason and the password where they are due."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.responses import Response

from license_api.console.visit import Signed
from license_api.v1.fields import PRINTABLE, Message
from services.partners import Right


class Reason(Message):
    """Why."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PRINTABLE), Field()]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: texts of the catalogue, and where one goes back to. `about` is what it is done to."""

    title: str
    label: str
    back: str
    about: str
    consequences: tuple[str, ...] = ()
    reason: str = ""
    grave: bool = True
    hidden: Mapping[str, str] = field(default_factory=dict)


def ask(visit: Signed, asked: Ask) -> Response:
    """Show the page, the first time or again."""
    return visit.page("parts/ask.html", ask=asked)


async def do(visit: Signed, asked: Ask, right: Right, act: Awaitable[Any], said: str, to: str = "") -> Response:
    """Do a grave act if it is confirmed, and go on; else ask again."""
    confirmed = await visit.confirmed(right)
    if confirmed:
        await visit.attempt(act)
    elif hasattr(act, "close"):
        act.close()
    return visit.go(to or asked.back, said) if visit.form.right else ask(visit, asked)
