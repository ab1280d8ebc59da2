"""`POST /v1/activations`: a Site Manager binds itself to a key."""

from fastapi import APIRouter, Response

from license_api.deps import Db, From, Now, TheService
from license_api.problems import described, respond
from license_api.v1.etags import IfNoneMatch, as_known, etag
from license_api.v1.fields import Said
from license_api.v1.wire import ActivationAnswer, ActivationRequest, SitePolicy
from services import ids, sites
from services.errors import BodyTooLarge, Invalid, TooManyAttempts
from services.keys import KeyMalformed, KeyUnknown
from services.partners import MspNotApproved
from services.sites import (
    Activated,
    CredentialMismatch,
    KeyAlreadyBound,
    KeyRevoked,
    KeySuspended,
    SeatsExhausted,
    VersionUnsupported,
)

router = APIRouter(tags=["sites"])


@router.post(
    "/v1/activations",
    operation_id="activate",
    summary="Bind an installation to a licence key",
    status_code=201,
    response_model=ActivationAnswer,
    response_model_exclude_none=True,
    responses={
        200: {"model": ActivationAnswer, "description": "The binding that this installation already has."},
        **described(
            BodyTooLarge,
            CredentialMismatch,
            Invalid,
            KeyAlreadyBound,
            KeyMalformed,
            KeyRevoked,
            KeySuspended,
            KeyUnknown,
            MspNotApproved,
            SeatsExhausted,
            TooManyAttempts,
            VersionUnsupported,
        ),
    },
)
async def activate(
    body: ActivationRequest, come_from: From, response: Response, db: Db, now: Now, made: TheService
) -> ActivationAnswer | Response:
    """Send the same request again if no answer came: it is the same activation."""
    try:
        bound = await sites.activate(db, made.desk, body.activation(), now, address=come_from.address)
    except sites.WORTH_KEEPING as refusal:
        # Answered, not raised: so it is committed, and the MSP sees who came.
        return respond(refusal, come_from.request_id or "")
    except KeyUnknown:
        await made.attempts.unknown_key(come_from.address)
        raise
    response.status_code = 201 if bound.first else 200
    return _answer(bound)


def _answer(bound: Activated) -> ActivationAnswer:
    return ActivationAnswer(
        site_id=ids.show("site", bound.site_id),
        key_id=ids.show("key", bound.key_id),
        installation_id=bound.installation_id,
        state=bound.state,
        policy=SitePolicy(
            heartbeat_seconds=bound.policy.heartbeat_seconds,
            warn_after_seconds=bound.policy.warn_after_seconds,
            disable_after_seconds=bound.policy.disable_after_seconds,
        ),
        echo=bound.echo,
        through=bound.through,
        receipt=bound.receipt.hex(),
        lease=bound.lease,
        server_time=bound.server_time,
        next_heartbeat_seconds=bound.next_heartbeat_seconds,
    )


class Jwks(Said):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


@router.get(
    "/.well-known/jwks.json",
    operation_id="getJwks",
    summary="The public keys that leases are checked with",
    response_model=Jwks,
    responses={304: {"description": "It is as you have it."}, **described(Invalid)},
)
async def jwks(
    db: Db, now: Now, made: TheService, response: Response, if_none_match: IfNoneMatch = None
) -> Jwks | Response:
    """A site keeps this; it asks again when a lease names a key it does not know."""
    shown = Jwks(keys=await sites.public_keys(db, made.desk.vault, now))
    headers = {"Cache-Control": f"public, max-age={sites.CACHED_SECONDS}", "ETag": etag(shown)}
    if as_known(if_none_match, shown):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return shown
