"""Keys: the metered licence key, its code, its states and its timeline.

Promise: a key's state is one function of what happened to it, no change of state deletes anything, and each is one row
of the timeline. Whoever changes a state must also tell the site's lines of it: `services.sites` does.
"""

from services.keys.code import KeyMalformed, mask
from services.keys.naming import code_of, rename
from services.keys.register import (
    IssuedKey,
    KeyNameTaken,
    KeyUnknown,
    activate,
    create,
    disable,
    enable,
    find_for_update,
    key_of_site,
    of_site_for_update,
    visible_key,
    visible_keys,
)
from services.keys.search import matching
from services.keys.states import KeyState
from services.keys.tables import Key, KeyEvent
from services.keys.timeline import timeline

__all__ = [
    "IssuedKey",
    "Key",
    "KeyEvent",
    "KeyMalformed",
    "KeyNameTaken",
    "KeyState",
    "KeyUnknown",
    "activate",
    "code_of",
    "create",
    "disable",
    "enable",
    "find_for_update",
    "key_of_site",
    "mask",
    "matching",
    "of_site_for_update",
    "rename",
    "timeline",
    "visible_key",
    "visible_keys",
]
