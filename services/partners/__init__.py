"""Partners: the vendor's distributors, their MSPs, and the programs that act for them.

Promise: who may see what is decided here alone. `visible_to()` is the one tenant scope, by tenure: a partner sees the
rows of its own chain for its own interval, and a stranger's row does not exist for it.
"""

from services.partners.policy import Level, Policy, policy_of, policy_of_msp, set_policy
from services.partners.policy_bounds import BOUNDS, PolicyOutOfBounds, check_values
from services.partners.register import (
    MspNotApproved,
    MspSuspended,
    add_distributor,
    add_msp,
    approved_msp,
    begin_site_tenure,
    distributor_of,
    msps_of,
    pass_site_tenure,
)
from services.partners.scope import Principal, visible_to
from services.partners.tables import Distributor, Msp
from services.partners.tokens import issue_token, principal_of

__all__ = [
    "BOUNDS",
    "Distributor",
    "Level",
    "Msp",
    "MspNotApproved",
    "MspSuspended",
    "Policy",
    "PolicyOutOfBounds",
    "Principal",
    "add_distributor",
    "add_msp",
    "approved_msp",
    "begin_site_tenure",
    "check_values",
    "distributor_of",
    "issue_token",
    "msps_of",
    "pass_site_tenure",
    "policy_of",
    "policy_of_msp",
    "principal_of",
    "set_policy",
    "visible_to",
]
