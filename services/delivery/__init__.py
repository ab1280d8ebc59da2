"""Delivery: letters and events, written in the transaction that causes them, and sent afterwards.

Promise: what was posted is sent at least once under one id, however long the other end is away; nothing outside is
called inside a transaction; every attempt can be seen. This feature knows addresses, not partners: whoever posts says
to whom.
"""

from services.delivery.bounces import Bounce, bounced, last_letter_to, read_bounce
from services.delivery.carrier import Carrier, Outcome
from services.delivery.endpoints import (
    TooManyEndpoints,
    add_endpoint,
    checked_url,
    endpoint_of,
    endpoints_of,
    remove_endpoint,
    rotate_secret,
    secrets_of,
    switch_off,
    switch_on,
)
from services.delivery.feed import events_of
from services.delivery.gathering import gather
from services.delivery.kinds import KINDS, EventKind
from services.delivery.mailers import Attachment, FolderMailer, Mailer, NotSent, SmtpMailer
from services.delivery.outbox import Language, emit, language, latest_events, link, post, post_to_stranger
from services.delivery.posting import (
    Attach,
    PostOffice,
    attempts_of,
    compose_letter,
    empty_letters,
    letters_of,
    next_letter,
    settle_letter,
    undeliverable_letters,
)
from services.delivery.signatures import Scheme, shown_key
from services.delivery.tables import Event, Letter, LetterAttempt, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from services.delivery.telling import (
    Parcel,
    deliveries_of,
    fan_out,
    next_parcels,
    replay_delivery,
    send_test,
    settle_parcel,
)

__all__ = [
    "KINDS",
    "Attach",
    "Attachment",
    "Bounce",
    "Carrier",
    "Event",
    "EventKind",
    "FolderMailer",
    "Language",
    "Letter",
    "LetterAttempt",
    "Mailer",
    "NotSent",
    "Outcome",
    "Parcel",
    "PostOffice",
    "Scheme",
    "SmtpMailer",
    "TooManyEndpoints",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "add_endpoint",
    "attempts_of",
    "bounced",
    "checked_url",
    "compose_letter",
    "deliveries_of",
    "emit",
    "empty_letters",
    "endpoint_of",
    "endpoints_of",
    "events_of",
    "fan_out",
    "gather",
    "language",
    "last_letter_to",
    "latest_events",
    "letters_of",
    "link",
    "next_letter",
    "next_parcels",
    "post",
    "post_to_stranger",
    "read_bounce",
    "remove_endpoint",
    "replay_delivery",
    "rotate_secret",
    "secrets_of",
    "send_test",
    "settle_letter",
    "settle_parcel",
    "shown_key",
    "switch_off",
    "switch_on",
    "undeliverable_letters",
]
