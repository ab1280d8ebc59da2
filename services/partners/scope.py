"""The one tenant scope: which sites a principal sees."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import InstrumentedAttribute

from services.partners.tables import SiteTenure


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a program of an MSP."""

    msp_id: UUID
    token_id: UUID

    @property
    def actor(self) -> str:
        """How the timeline names it."""
        return f"token:{self.token_id}"


def visible_to(principal: Principal, site_id: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """Give the condition on a `site_id` column under which a row exists for the principal."""
    return exists().where(SiteTenure.site_id == site_id, SiteTenure.msp_id == principal.msp_id)
