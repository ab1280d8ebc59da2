"""Writes pages: templates in the visitor's language, with numbers, money and instants as it reads them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import dates, numbers
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from license_api.console import assets
from license_api.console.language import LOCALES, N_, known_texts, translations
from license_api.console.navigation import has_room, is_here
from license_api.console.states import key_actor, key_event, state
from services import ids
from services.errors import Refusal

if TYPE_CHECKING:
    from license_api.console.visit import Visit

FOLDER = Path(__file__).parent / "templates"


def write(template: str, visit: "Visit", values: Mapping[str, Any]) -> str:
    """Write a page."""
    return _environment(visit.language).get_template(template).render({**values, "visit": visit})


@cache
def _environment(language: str) -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        auto_reload=False,
    )
    catalogue = translations(language)
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "instant": _instant,
        "day": _day,
        "iso_day": _iso_day,
        "month": _month,
        "read_instant": datetime.fromisoformat,
        "ago": _ago,
        "number": _number,
        "money": _money,
        "price": _price,
        "percent": _percent,
        "shown": ids.show,
    }
    made.globals |= {
        "asset": assets.address,
        "is_here": is_here,
        "has_room": has_room,
        "state": state,
        "key_event": key_event,
        "key_actor": key_actor,
        "language": language,
    }
    made.filters["tr"] = lambda text: catalogue.gettext(text) if text else ""
    made.filters["told"] = lambda refusal: _told(refusal, language)
    made.tests["known_text"] = lambda text: text in known_texts()
    return made


def _told(refusal: Refusal, language: str) -> str:
    """Give what a refusal says: in its own words if the catalogue has them, else in those of its kind."""
    if language == "en" or refusal.detail in known_texts():
        return translations(language).gettext(refusal.detail)
    return translations(language).gettext((type(refusal).__doc__ or "").strip().partition("\n")[0])


@pass_context
def _instant(context: Context, at: datetime | None, form: str = "medium") -> Markup | str:
    """Write an instant in the visitor's zone, with UTC behind it."""
    if at is None:
        return "–"
    visit, locale = context["visit"], LOCALES[context["language"]]
    local = at.astimezone(visit.zone)
    text = f"{dates.format_date(local, 'medium', locale)}, {local:%H:%M}"
    if form == "seconds":
        text += f"{local::%S}"
    return _time(at, text, f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


@pass_context
def _ago(context: Context, at: datetime | None) -> Markup | str:
    """Write how far an instant lies from now, with the instant itself behind it."""
    if at is None:
        return "–"
    visit, locale = context["visit"], LOCALES[context["language"]]
    if abs(at - visit.now) < timedelta(minutes=1):
        text = translations(context["language"]).gettext(N_("just now"))
    else:
        text = dates.format_timedelta(at - visit.now, add_direction=True, locale=locale)
    local = at.astimezone(visit.zone)
    behind = f"{dates.format_date(local, 'medium', locale)}, {local:%H:%M} · {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return _time(at, text, behind)


@pass_context
def _day(context: Context, day: date | datetime | None) -> str:
    """Write a day; of an instant, the day that it is in the visitor's zone."""
    if day is None:
        return "–"
    local = day.astimezone(context["visit"].zone) if isinstance(day, datetime) else day
    return dates.format_date(local, "medium", LOCALES[context["language"]])


@pass_context
def _iso_day(context: Context, day: str) -> str:
    """Write a day of a document."""
    return dates.format_date(date.fromisoformat(day), "EEE d", LOCALES[context["language"]])


@pass_context
def _month(context: Context, month: str, *, inside: bool = False) -> str:
    """Write a month (`2026-03`); `inside` a sentence, as the language writes it there."""
    text = dates.format_date(date.fromisoformat(f"{month}-01"), "LLLL y", LOCALES[context["language"]])
    return text if inside else text[:1].upper() + text[1:]


@pass_context
def _number(context: Context, value: int | Decimal | float | None) -> str:
    # Most are: and Babel takes 40 microseconds for each.
    if type(value) is int and 0 <= value < 1000:
        return str(value)
    return "–" if value is None else numbers.format_decimal(value, locale=LOCALES[context["language"]])


@pass_context
def _money(context: Context, value: Decimal | str | None, currency: str) -> str:
    if value is None:
        return "–"
    return numbers.format_currency(Decimal(value), currency, locale=LOCALES[context["language"]])


@pass_context
def _price(context: Context, value: Decimal | str, currency: str) -> str:
    """Write a unit price exactly: it may have more places than its currency."""
    exact, locale = Decimal(value).normalize(), LOCALES[context["language"]]
    places = max(2, -int(exact.as_tuple().exponent))
    plain = numbers.format_decimal(exact, f"#,##0.{'0' * places}", locale=locale)
    symbol = numbers.get_currency_symbol(currency, locale)
    return f"{plain}\N{NO-BREAK SPACE}{symbol}" if context["language"] == "it" else f"{symbol}{plain}"


@pass_context
def _percent(context: Context, value: float | None, form: str = "#,##0.#%") -> str:
    return "–" if value is None else numbers.format_percent(value, form, LOCALES[context["language"]])


def _time(at: datetime, text: str, behind: str) -> Markup:
    machine = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, behind, text)
