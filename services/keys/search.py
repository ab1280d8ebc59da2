"""Finding keys among many: by state and by text."""

from sqlalchemy import ColumnElement, and_, func, or_

from services.keys.states import KeyState
from services.keys.tables import Key


def matching(state: KeyState | None, text: str | None) -> ColumnElement[bool]:
    """Give the condition for keys in a state whose name or reference holds a text, however it is written."""
    conditions: list[ColumnElement[bool]] = [Key.site_id.is_not(None)]
    if state is not None:
        conditions.append(_in_state(state))
    if text:
        wanted = func.lower(text)
        conditions.append(
            or_(func.strpos(func.lower(Key.name), wanted) > 0, func.strpos(func.lower(Key.reference), wanted) > 0)
        )
    return and_(*conditions)


def _in_state(state: KeyState) -> ColumnElement[bool]:
    """Say `state_of` in SQL: revoked > suspended > disabled > active."""
    order = {
        KeyState.REVOKED: Key.revoked_at.is_not(None),
        KeyState.SUSPENDED: or_(Key.suspended_at.is_not(None), Key.msp_suspended_at.is_not(None)),
        KeyState.DISABLED: Key.disabled_at.is_not(None),
        KeyState.ACTIVE: Key.activated_at.is_not(None),
    }
    before: list[ColumnElement[bool]] = []
    for one, condition in order.items():
        if one is state:
            return and_(condition, *(~other for other in before))
        before.append(condition)
    return and_(*(~other for other in before))
