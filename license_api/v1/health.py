"""Whether the process lives, and whether it can do its work."""

from fastapi import APIRouter
from sqlalchemy import text

from license_api.deps import Db
from license_api.problems import described
from license_api.v1.fields import Said

router = APIRouter(tags=["operation"])


class Health(Said):
    """All is well."""

    status: str = "ok"


@router.get(
    "/healthz",
    operation_id="getHealth",
    summary="The process lives",
    responses={status: said for status, said in described().items() if status != 503},
)
async def healthz() -> Health:
    """Asks nothing of anything else."""
    return Health()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="The process can do its work",
    responses=described(),
)
async def readyz(db: Db) -> Health:
    """The database answers and has a schema. Valkey is not needed to answer a site."""
    await db.execute(text("select version_num from alembic_version"))
    return Health()
