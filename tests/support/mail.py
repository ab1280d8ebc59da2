"""A mailbox and a webhook receiver: code that stands at the other end."""

from email.message import EmailMessage

from report_worker import delivering
from report_worker.jobs import Tools
from services.delivery import Carrier, NotSent, PostOffice
from tests.support.world import World

PUBLIC_URL = "https://portal.example"


class Mailbox:
    """A `services.delivery.Mailer` that keeps what it is given, or refuses it as a mail server would."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refusal: NotSent | None = None
        self.refused: str | None = None

    async def send(self, message: EmailMessage) -> None:
        if self.refusal is not None and self.refused in (None, message["To"]):
            raise self.refusal
        self.messages.append(message)

    def last(self) -> str:
        """The text of the last letter."""
        return str(self.messages[-1].get_content())

    def token(self) -> str:
        """The token of the last letter's link."""
        line = next(line for line in self.last().splitlines() if line.startswith(PUBLIC_URL))
        return line.partition("?token=")[2]


def tools(world: World, mailbox: Mailbox | None = None, carrier: Carrier | None = None) -> Tools:
    """What the worker would have made."""
    vault = world.desk.vault
    office = PostOffice(mailbox, vault, "Tidemark <noreply@tidemark.example>", PUBLIC_URL) if mailbox else None
    return Tools(world.sessions, world.clock, vault=vault, office=office, carrier=carrier)


async def deliver_letters(world: World, mailbox: Mailbox) -> None:
    """Run the job that sends letters."""
    await delivering.send_letters({"tools": tools(world, mailbox)})


async def deliver_webhooks(world: World, carrier: Carrier) -> None:
    """Run the job that posts webhooks."""
    await delivering.send_webhooks({"tools": tools(world, carrier=carrier)})


async def look_after_people(world: World) -> None:
    """Run the partners' chores."""
    await delivering.look_after_people({"tools": tools(world)})
