"""Keys: the metered licence key, its code, its states and its timeline.

Promise: a key's state is one function of what happened to it, no change of state deletes anything, and each is one row
of the timeline. Whoever changes a state must also tell the site's lines of it: `services.sites` does.
"""

from services.keys.changes import (
    KeyAlreadyRotated,
    KeyRevokedForGood,
    hand_over,
    note,
    resume,
    resume_with_msp,
    revoke,
    rotate,
    suspend,
    suspend_with_msp,
)
from services.keys.code import KeyMalformed, mask
from services.keys.naming import code_of, rename
from services.keys.policies import (
    KEY_KNOBS,
    bring_within,
    own_policy,
    policies_of_keys,
    policy_of_key,
    set_key_policy,
)
from services.keys.register import (
    IssuedKey,
    KeyNameTaken,
    KeyUnknown,
    activate,
    create,
    disable,
    enable,
    find_for_update,
    hash_of_code,
    key_of_site,
    names_of_sites,
    of_site_for_update,
    visible_key,
    visible_keys,
)
from services.keys.search import matching
from services.keys.states import KeyState
from services.keys.tables import SILENT, Key, KeyEvent, KeyPolicy
from services.keys.timeline import subject_of, timeline

__all__ = [
    "KEY_KNOBS",
    "SILENT",
    "IssuedKey",
    "Key",
    "KeyAlreadyRotated",
    "KeyEvent",
    "KeyMalformed",
    "KeyNameTaken",
    "KeyPolicy",
    "KeyRevokedForGood",
    "KeyState",
    "KeyUnknown",
    "activate",
    "bring_within",
    "code_of",
    "create",
    "disable",
    "enable",
    "find_for_update",
    "hand_over",
    "hash_of_code",
    "key_of_site",
    "mask",
    "matching",
    "names_of_sites",
    "note",
    "of_site_for_update",
    "own_policy",
    "policies_of_keys",
    "policy_of_key",
    "rename",
    "resume",
    "resume_with_msp",
    "revoke",
    "rotate",
    "set_key_policy",
    "subject_of",
    "suspend",
    "suspend_with_msp",
    "timeline",
    "visible_key",
    "visible_keys",
]
