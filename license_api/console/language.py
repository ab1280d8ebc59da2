"""Which language a visitor reads, and the catalogue of each. English is the language of the templates themselves.

Italian is in `catalogue/it/`, one file a room; a test finds what is missing there, or no longer used.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "catalogue"
LOCALES = {"it": Locale("it", "IT"), "en": Locale("en", "GB")}


def N_(text: str) -> str:
    """Mark a text for the catalogue; it is translated where it is shown."""
    return text


def of_browser(accept: str) -> str:
    """Give the language of an Accept-Language header: the one of ours that it names first, else Italian."""
    wanted = []
    for place, part in enumerate(accept.split(",")):
        tag, _, rest = part.strip().partition(";")
        weight = rest.strip().removeprefix("q=") or "1"
        wanted.append((-float(weight) if weight.replace(".", "", 1).isdigit() else 0.0, place, tag[:2].lower()))
    return next((tag for _, _, tag in sorted(wanted) if tag in LOCALES), "it" if not accept else "en")


@cache
def translations(language: str) -> NullTranslations:
    """Give a language's catalogue, put together from its files."""
    files = sorted((FOLDER / language).glob("*.po"))
    if not files:
        return NullTranslations()
    whole = Catalog(locale=LOCALES[language])
    for path in files:
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    whole.add(message.id, message.string, context=message.context)
    made = BytesIO()
    write_mo(made, whole)
    made.seek(0)
    return GNUTranslations(made)


@cache
def known_texts() -> frozenset[str]:
    """Give every text that the catalogue has."""
    texts = set()
    for path in (FOLDER / "it").glob("*.po"):
        with path.open("rb") as file:
            texts |= {one.id if isinstance(one.id, str) else one.id[0] for one in read_po(file) if one.id}
    return frozenset(texts)
