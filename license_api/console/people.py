"""The people of one's partner: their roles, invitations, and taking somebody off. The last admin stays."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.asking import Ask, ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Email, Language, Message, Name
from license_api.v1.pages import cursor, named
from services import ids, partners
from services.partners import Right, Role, User

router = APIRouter(prefix="/people", route_class=PageRoute)
_ROWS, _HERE = 50, "/people"


class Invited(Message):
    """Whom to invite, as what, and the language of the letter."""

    email: Email
    role: Role
    language: Language


class Person(Message):
    """What of a person can be changed."""

    name: Name
    role: Role
    language: Language


@router.get("")
async def list_people(visit: SignedIn, after: str | None = None) -> Response:
    """Who there is, and who has been invited."""
    visit.require(Right.PEOPLE_READ)
    return await _list(visit, after)


@router.post("/invitations")
async def invite(visit: SignedIn) -> Response:
    """Write to somebody; the letter's link is good for seven days."""
    visit.require(Right.PEOPLE_ADMIN)
    wanted = visit.form.read(Invited)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        inviting = partners.invite_colleague(
            visit.db,
            visit.made.desk.vault,
            visit.principal,
            email=wanted.email,
            role=wanted.role,
            language=wanted.language,
            now=visit.now,
        )
        await visit.attempt(inviting)
        if visit.form.right:
            return visit.go(_HERE, N_("The invitation is on its way."))
    return await _list(visit, None)


@router.get("/invitations/{invitation_id}/withdraw")
async def ask_withdrawal(invitation_id: str, visit: SignedIn) -> Response:
    """Say what becomes of the link."""
    visit.require(Right.PEOPLE_ADMIN)
    named("invitation", invitation_id)
    return ask(visit, _WITHDRAWAL)


@router.post("/invitations/{invitation_id}/withdraw")
async def withdraw(invitation_id: str, visit: SignedIn) -> Response:
    """Its link is good for nothing from now on."""
    wanted = named("invitation", invitation_id)
    act = partners.withdraw_invitation(visit.db, visit.principal, wanted, visit.now)
    return await do(visit, _WITHDRAWAL, Right.PEOPLE_ADMIN, act, N_("The invitation is taken back."))


@router.get("/{user_id}")
async def show_person(user_id: str, visit: SignedIn) -> Response:
    """One of the own people."""
    visit.require(Right.PEOPLE_READ)
    return visit.page("people/person.html", user=await _one(visit, user_id))


@router.post("/{user_id}")
async def change_person(user_id: str, visit: SignedIn) -> Response:
    """The last admin stays one."""
    visit.require(Right.PEOPLE_ADMIN)
    user, wanted = await _one(visit, user_id, lock=True), visit.form.read(Person)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        changing = partners.change_user(
            visit.db,
            visit.principal,
            user,
            role=wanted.role,
            name=wanted.name,
            language=wanted.language,
            now=visit.now,
        )
        await visit.attempt(changing)
        if visit.form.right:
            return visit.go(_HERE, N_("The change is made."))
    return visit.page("people/person.html", user=user)


@router.get("/{user_id}/remove")
async def ask_removal(user_id: str, visit: SignedIn) -> Response:
    """Say what is erased and what stays."""
    visit.require(Right.PEOPLE_ADMIN)
    return ask(visit, _removal(await _one(visit, user_id)))


@router.post("/{user_id}/remove")
async def remove(user_id: str, visit: SignedIn) -> Response:
    """Sessions end at once."""
    user = await _one(visit, user_id, lock=True)
    act = partners.remove_user(visit.db, visit.principal, user, visit.now)
    said = N_("The person is taken off.")
    return await do(visit, _removal(user), Right.PEOPLE_ADMIN, act, said, to=_HERE)


@router.get("/{user_id}/second-factor")
async def ask_factor(user_id: str, visit: SignedIn) -> Response:
    """Say what the person does then."""
    visit.require(Right.PEOPLE_ADMIN)
    return ask(visit, _factor(await _one(visit, user_id)))


@router.post("/{user_id}/second-factor")
async def remove_factor(user_id: str, visit: SignedIn) -> Response:
    """For somebody who has lost it."""
    user = await _one(visit, user_id, lock=True)
    act = partners.remove_totp(visit.db, visit.principal, user, visit.now)
    return await do(visit, _factor(user), Right.PEOPLE_ADMIN, act, N_("The second factor is off."))


async def _list(visit: Signed, after: str | None) -> Response:
    rows = await partners.users_of(visit.db, visit.principal, after=cursor("user", after or None), limit=_ROWS)
    invited = await partners.invitations_of(visit.db, visit.principal, visit.now, after=None, limit=200)
    last = ids.show("user", rows[-1].id) if len(rows) == _ROWS else None
    return visit.page("people/list.html", rows=rows, invited=invited, after=after, last=last)


async def _one(visit: Signed, user_id: str, *, lock: bool = False) -> User:
    return await partners.user_of(visit.db, visit.principal, named("user", user_id), lock=lock)


_WITHDRAWAL = Ask(
    title=N_("Take the invitation back"),
    label=N_("Take it back"),
    back=_HERE,
    about=N_("People"),
    consequences=(N_("The link of its letter is good for nothing from now on."),),
)


def _removal(user: User) -> Ask:
    return Ask(
        title=N_("Take this person off"),
        label=N_("Take off"),
        back=f"{_HERE}/{ids.show('user', user.id)}",
        about=user.name,
        consequences=(
            N_("All sessions end at once, and the address can sign in no more."),
            N_("Name and address are erased. What was done stays on record, without the name."),
        ),
    )


def _factor(user: User) -> Ask:
    return Ask(
        title=N_("Remove a lost second factor"),
        label=N_("Remove it"),
        back=f"{_HERE}/{ids.show('user', user.id)}",
        about=user.name,
        consequences=(N_("Until a new one is set up, the password alone opens the account."),),
    )
