"""Sites: activation, heartbeats, leases, silence and the sweep.

Promise: an answered heartbeat is durable; a repeat gets its own answer again; no site is disabled for the service's own
fault, and one that is heard again is enabled at once. Locks are taken in the order lines, key, timers.
"""

from services.sites.activation import (
    Activated,
    Activation,
    CredentialMismatch,
    KeyAlreadyBound,
    KeyRevoked,
    KeySuspended,
    VersionUnsupported,
    activate,
)
from services.sites.bearer import Bearer, read_bearer
from services.sites.echo import Echo
from services.sites.heartbeat import ChangesMissing, DeployedMismatch, Heartbeat, LineBroken
from services.sites.idle import PREPARE, Idle, advance_idle, genuine_echo, perhaps_idle
from services.sites.intake import Answer, Desk, take_in
from services.sites.lease import LeaseSigner
from services.sites.lease_keys import public_keys, signing_key
from services.sites.pulse import PULSE_SECONDS, pulse
from services.sites.roster import SiteView, site_of, sites_of
from services.sites.silence import Liveness
from services.sites.sweep import Swept, next_timer_at, sweep

__all__ = [
    "PREPARE",
    "PULSE_SECONDS",
    "Activated",
    "Activation",
    "Answer",
    "Bearer",
    "ChangesMissing",
    "CredentialMismatch",
    "DeployedMismatch",
    "Desk",
    "Echo",
    "Heartbeat",
    "Idle",
    "KeyAlreadyBound",
    "KeyRevoked",
    "KeySuspended",
    "LeaseSigner",
    "LineBroken",
    "Liveness",
    "SiteView",
    "Swept",
    "VersionUnsupported",
    "activate",
    "advance_idle",
    "genuine_echo",
    "next_timer_at",
    "perhaps_idle",
    "public_keys",
    "pulse",
    "read_bearer",
    "signing_key",
    "site_of",
    "sites_of",
    "sweep",
    "take_in",
]
