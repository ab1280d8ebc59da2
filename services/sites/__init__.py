"""Sites: activation, heartbeats, leases, silence and the sweep.

Promise: an answered heartbeat is durable; a repeat gets its own answer again; no site is disabled for the service's own
fault, and one that is heard again is enabled at once. Locks are taken in the order lines, key, timers.
"""

from services.sites import (
    addresses,
    admission,
    backups,
    breaker,
    clones,
    commands,
    findings,
    flags,
    inventory,
    moves,
    orders,
    policies,
    refusals,
    spreading,
    standing,
)
from services.sites.activation import (
    WORTH_KEEPING,
    Activated,
    CredentialMismatch,
    KeyAlreadyBound,
    KeyRevoked,
    KeySuspended,
    VersionUnsupported,
    activate,
)
from services.sites.administration_tables import Agent, Command, CommandKind, Inventory
from services.sites.backups import Place, Trouble
from services.sites.bearer import Bearer, read_bearer
from services.sites.binding import Activation
from services.sites.commands import CommandState
from services.sites.dates import dates_of
from services.sites.dry_run import DryRun, Effect, Foreseen, dry_run
from services.sites.echo import Echo
from services.sites.flags import flags_in
from services.sites.fleet import Fleet, fleet_of, fleet_stands, site_stands
from services.sites.heartbeat import (
    Backups,
    ChangesMissing,
    DeployedMismatch,
    Heartbeat,
    LineBroken,
    Result,
)
from services.sites.idle import PREPARE, Idle, advance_idle, genuine_echo, perhaps_idle
from services.sites.intake import Answer, Desk, take_in
from services.sites.inventory import AgentNamed, AgentType, LastBackup
from services.sites.last_told import LastTold, last_told
from services.sites.lease import LeaseSigner
from services.sites.lease_keys import CACHED_SECONDS, public_keys, rotate_signing_key, signing_key
from services.sites.namesakes import Namesake, namesakes
from services.sites.pace import Pace, TooEarly
from services.sites.policies import PolicySource, PolicyView, change_bounds, change_policy, lock_policies, policy_view
from services.sites.pulse import PULSE_SECONDS, pulse
from services.sites.refusals import Refused
from services.sites.roster import Order, SiteView, keys_of_liveness, machines_of, site_of, sites_of
from services.sites.seats import RejectedTooLate, Seat, SeatsExhausted, end_seat, reject_seat, seats_of
from services.sites.silence import Liveness
from services.sites.suspension import resume_msp, suspend_msp
from services.sites.sweep import Swept, next_timer_at, sweep

__all__ = [
    "CACHED_SECONDS",
    "PREPARE",
    "PULSE_SECONDS",
    "WORTH_KEEPING",
    "Activated",
    "Activation",
    "Agent",
    "AgentNamed",
    "AgentType",
    "Answer",
    "Backups",
    "Bearer",
    "ChangesMissing",
    "Command",
    "CommandKind",
    "CommandState",
    "CredentialMismatch",
    "DeployedMismatch",
    "Desk",
    "DryRun",
    "Echo",
    "Effect",
    "Fleet",
    "Foreseen",
    "Heartbeat",
    "Idle",
    "Inventory",
    "KeyAlreadyBound",
    "KeyRevoked",
    "KeySuspended",
    "LastBackup",
    "LastTold",
    "LeaseSigner",
    "LineBroken",
    "Liveness",
    "Namesake",
    "Order",
    "Pace",
    "Place",
    "PolicySource",
    "PolicyView",
    "Refused",
    "RejectedTooLate",
    "Result",
    "Seat",
    "SeatsExhausted",
    "SiteView",
    "Swept",
    "TooEarly",
    "Trouble",
    "VersionUnsupported",
    "activate",
    "addresses",
    "admission",
    "advance_idle",
    "backups",
    "breaker",
    "change_bounds",
    "change_policy",
    "clones",
    "commands",
    "dates_of",
    "dry_run",
    "end_seat",
    "findings",
    "flags",
    "flags_in",
    "fleet_of",
    "fleet_stands",
    "genuine_echo",
    "inventory",
    "keys_of_liveness",
    "last_told",
    "lock_policies",
    "machines_of",
    "moves",
    "namesakes",
    "next_timer_at",
    "orders",
    "perhaps_idle",
    "policies",
    "policy_view",
    "public_keys",
    "pulse",
    "read_bearer",
    "refusals",
    "reject_seat",
    "resume_msp",
    "rotate_signing_key",
    "seats_of",
    "signing_key",
    "site_of",
    "site_stands",
    "sites_of",
    "spreading",
    "standing",
    "suspend_msp",
    "sweep",
    "take_in",
]
