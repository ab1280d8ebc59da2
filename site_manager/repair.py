"""What the service asks for in place of a request that it did not take, and how the next one is made of it.

An error answer spends nothing: the next request has the same sequence and echo, and a new nonce.
"""

import sqlite3

from site_manager import chain, requests
from site_manager.answers import Problem
from site_manager.requests import Frozen


def repair(
    db: sqlite3.Connection, frozen: Frozen, code: str, problem: Problem | None, now: str, *, again: bool
) -> bool:
    """Make ready for another request; False if another one would be no better and this one waits on.

    `again`: the last round ended in a repair too.
    """
    match code:
        case "changes_missing" if problem is not None and problem.through is not None:
            chain.agree(db, problem.through, problem.receipt, now)
        case "line_broken" if not frozen.resume or not again:
            # A resume that a copy of this file has sent already needs a nonce of its own.
            requests.turn_to_resume(db)
        case "body_too_large" if frozen.entries > 1:
            pass
        case "deployed_mismatch" if not again:
            chain.append_current(db, now)
        case "request_invalid" if not again:
            pass
        case _:
            return False
    requests.thaw(db, frozen, code, now)
    return True
