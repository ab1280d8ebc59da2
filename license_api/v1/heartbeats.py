"""`POST /v1/heartbeats`: a site reports, and is told how it stands.

The route below is the contract; under `tidemark api` the good requests are served before they come here, by
`license_api.v1.heartbeat_door`.
"""

from fastapi import APIRouter

from license_api.deps import From, SiteBearer, TheService
from license_api.problems import described
from license_api.v1.wire import CommandOffered, HeartbeatAnswer, HeartbeatRequest, Notice
from services import ids
from services.errors import BodyTooLarge, Invalid, Unauthenticated
from services.sites import Answer, ChangesMissing, Command, DeployedMismatch, LineBroken, TooEarly

PATH = "/v1/heartbeats"
router = APIRouter(tags=["sites"])


@router.post(
    PATH,
    operation_id="sendHeartbeat",
    summary="Report usage and ask how the key stands",
    response_model_exclude_none=True,
    responses=described(BodyTooLarge, ChangesMissing, DeployedMismatch, Invalid, LineBroken, TooEarly, Unauthenticated),
)
async def heartbeat(body: HeartbeatRequest, bearer: SiteBearer, made: TheService, come_from: From) -> HeartbeatAnswer:
    """A site that is told no is still answered 200: `state` says why, and what it reports is stored."""
    return answer_of(await made.heartbeats.take_in(body.heartbeat(bearer, lambda: come_from.address)))


def answer_of(answer: Answer) -> HeartbeatAnswer:
    """Give the answer as the wire has it."""
    return HeartbeatAnswer(
        state=answer.state,
        reason=answer.reason,
        sequence=answer.sequence,
        echo=answer.echo,
        through=answer.through,
        receipt=answer.receipt.hex(),
        server_time=answer.server_time,
        next_heartbeat_seconds=answer.next_heartbeat_seconds,
        lease=answer.lease,
        notices=[Notice(**notice) for notice in answer.notices],
        commands=[_offered(command) for command in answer.commands],
    )


def _offered(command: Command) -> CommandOffered:
    return CommandOffered(
        id=ids.show("command", command.id),
        kind=command.kind,
        name=command.name,
        expires_at=command.expires_at,
    )
