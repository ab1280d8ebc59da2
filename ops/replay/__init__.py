"""The replay: a fleet lives through months on a simulated clock, against the real service.

Real `site_manager` clients, real HTTP to a real uvicorn, real PostgreSQL and Valkey, real arq jobs; only the time is
simulated, and whom an outage cuts off.
"""

from ops.replay.fleet import Fleet, MalformedFleet, Outages, read_fleet, read_outages
from ops.replay.rig import Figures, Plan, replay

__all__ = ["Figures", "Fleet", "MalformedFleet", "Outages", "Plan", "read_fleet", "read_outages", "replay"]
