"""What `tidemark up` shows: two months of a small fleet, with one of everything that a page is about."""

from pathlib import Path

from sqlalchemy import select

from ops.sample import make_sample
from ops.sample.customers import ADRIATICA, LARIO
from ops.sample.people import PEOPLE
from services import partners, reports, sites
from services.clock import system_clock
from services.db import Sessions
from services.delivery import Letter
from services.partners import Origin
from services.reports.tables import Dispute
from services.settings import Settings
from services.signing import Vault
from services.sites import Liveness


async def test_the_sample_has_one_of_everything_and_its_people_can_sign_in(
    sessions: Sessions, settings: Settings, vault: Vault, tmp_path: Path
) -> None:
    mail, stations = tmp_path / "mail", tmp_path / "stations"
    stations.mkdir()
    sample = await make_sample(settings.model_copy(update={"mail_folder": str(mail)}), stations)
    now, anna = system_clock(), sample.staff.of(ADRIATICA)
    async with sessions.begin() as db:
        rows = await sites.sites_of(db, anna, now, after=None, limit=50)
        assert {row.liveness for row in rows} == set(Liveness)
        assert {str(row.state) for row in rows} == {"issued", "active", "disabled", "suspended", "revoked"}
        assert len(await reports.issued(db, sample.staff.of(LARIO), after=None, limit=10)) == 2
        assert len((await db.scalars(select(Dispute))).all()) <= 1  # none in the first hours of a month
        assert len(await partners.registrations(db, undecided=True, after=None, limit=10)) == 2
        assert [one.sites for one in await sites.breaker.held(db)] == [12]
        assert await db.scalar(select(Letter.id).where(Letter.failure.is_not(None)).limit(1))
        for person in PEOPLE:
            own = sample.staff.recovery_codes.get(person.email)
            assert (own is not None) == (person.partner == "Partner Team")
            begun = await partners.sign_in(
                db,
                vault,
                email=person.email,
                password=sample.staff.password,
                code=own[0] if own else None,
                origin=Origin("192.0.2.1"),
                program=None,
                now=now,
            )
            assert begun.secret
