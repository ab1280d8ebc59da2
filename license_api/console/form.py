"""A form that a visitor sent: read into a message of the API, so that both doors have the same bounds."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from license_api.console.language import N_, known_texts
from services.errors import Refusal

M = TypeVar("M", bound=BaseModel)
_TEXTS = {
    "missing": N_("Please fill this in."),
    "string_too_short": N_("Please fill this in."),
    "string_too_long": N_("This is too long."),
    "string_pattern_mismatch": N_("This is not in the form that is expected."),
    "greater_than_equal": N_("This is too small."),
    "less_than_equal": N_("This is too large."),
    "int_parsing": N_("This is no whole number."),
    "decimal_parsing": N_("This is no number."),
    "date_from_datetime_parsing": N_("This is no date."),
    "datetime_from_date_parsing": N_("This is no date."),
}
_OTHERWISE = N_("This cannot be taken as it is.")


class Form:
    """What was sent, and what is wrong with it: `errors` by field, `refusal` for the whole."""

    def __init__(self, sent: Mapping[str, Sequence[str]]) -> None:
        """Take what was sent; a field may come several times."""
        self._sent = {name: [value.strip() for value in values] for name, values in sent.items()}
        self.errors: dict[str, str] = {}
        self.refusal: Refusal | None = None

    @property
    def right(self) -> bool:
        """Whether nothing has been found wrong so far."""
        return not self.errors and self.refusal is None

    def get(self, name: str, otherwise: str = "") -> str:
        """Give the value of a field, for it to be shown again."""
        values = self._sent.get(name)
        return values[-1] if values else otherwise

    def every(self, name: str) -> list[str]:
        """Give the values of a field that may be ticked several times."""
        return [value for value in self._sent.get(name, []) if value]

    def has(self, name: str) -> bool:
        """Tell whether a field came, however empty."""
        return name in self._sent

    def read(self, model: type[M], **more: Any) -> M | None:
        """Read the fields that a message has, empty ones left out; None if something is wrong with one."""
        values: dict[str, Any] = {name: self.get(name) for name in model.model_fields if self.get(name)}
        try:
            return model.model_validate({**values, **more})
        except ValidationError as error:
            for one in error.errors():
                self.errors.setdefault(str(one["loc"][0]) if one["loc"] else "", _text(one))
            return None

    def refuse(self, refusal: Refusal) -> None:
        """Keep a refusal: at its field if it points to one that was sent, else for the whole form."""
        field = (refusal.pointer or "").removeprefix("/")
        if field in self._sent:
            known = refusal.detail in known_texts()
            self.errors[field] = refusal.detail if known else (type(refusal).__doc__ or "").partition("\n")[0]
        else:
            self.refusal = refusal

    def mistake(self, name: str, text: str) -> None:
        """Say what is wrong with a field, in a text of the catalogue."""
        self.errors[name] = text


def _text(error: ErrorDetails) -> str:
    return _TEXTS.get(error["type"], _OTHERWISE)
