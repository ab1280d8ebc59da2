"""Delivery: letters and events, written in the transaction that causes them, and sent afterwards.

Promise: what was posted is sent at least once under one id, however long the other end is away; nothing outside is
called inside a transaction. This feature knows addresses, not partners: whoever posts says to whom.
"""

from services.delivery.gathering import gather
from services.delivery.outbox import Language, emit, post
from services.delivery.tables import Event, Letter

__all__ = ["Event", "Language", "Letter", "emit", "gather", "post"]
