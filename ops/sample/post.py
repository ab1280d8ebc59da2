"""The sample's post: a maildir that refuses one address; and webhooks that are taken while time is made up."""

import mailbox
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from ops.sample.customers import GONE
from services.delivery import Carrier, FolderMailer, NotSent, Outcome, Parcel


class SamplePost(FolderMailer):
    """A maildir that refuses one address as a mail server would."""

    async def send(self, message: EmailMessage) -> None:
        """Put the message there."""
        if message["To"] == GONE:
            raise NotSent("550 5.1.1 no such user here", final=True)
        await super().send(message)


class SampleCarrier(Carrier):
    """Takes every webhook."""

    async def carry(self, parcel: Parcel) -> Outcome:
        """Say that it was taken."""
        return Outcome(200, None) if parcel.url else Outcome(None, "no address")


def token_for(folder: Path, address: str) -> str:
    """Give the token of the link in the last letter to an address."""
    found, box = "", mailbox.Maildir(folder, create=False)
    for key in box.iterkeys():
        letter = message_from_bytes(box.get_bytes(key), policy=policy.default)
        body = letter.get_body(("plain",))
        text = str(body.get_content()) if body is not None and letter["To"] == address else ""
        found = text.partition("?token=")[2].split()[0] if "?token=" in text else found
    return found
