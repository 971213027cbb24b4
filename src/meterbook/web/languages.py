"""
Languages of the pages: one gettext catalogue a language, `web/locales/<code>.po`.

English is what the sources say and needs none. Adding a language is adding its file: the files are
read at start, and the language of a request is kept beside it, so that templates and Python say
`_()` without being told.
"""

import gettext as catalogues
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from pathlib import Path

import msgspec
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "locales"
SOURCE = "en"
LANGUAGE_COOKIE = "meterbook_language"
# Plain "en" is American: English pages write days before months and begin weeks on Monday.
_LOCALE_OF = {SOURCE: "en_GB"}


class Language(msgspec.Struct, frozen=True):
    """One language of the pages."""

    code: str
    """As in `<html lang>`."""
    name: str
    """What its speakers call it."""
    locale: Locale
    catalogue: catalogues.NullTranslations


@cache
def languages() -> dict[str, Language]:
    """Return the languages by code, English first."""
    codes = [SOURCE, *sorted(file.stem for file in FOLDER.glob("*.po"))]
    return {code: _language(code) for code in codes}


_current: ContextVar[str] = ContextVar("language", default=SOURCE)


def language() -> Language:
    """Return the language of the request being answered."""
    return languages()[_current.get()]


def speak(code: str) -> None:
    """Say what follows in the language of that code, for the rest of this request."""
    _current.set(code)


def gettext(message: str) -> str:
    """Return the message in the language of the request."""
    return language().catalogue.gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """Return the message in the form that the count asks for."""
    return language().catalogue.ngettext(singular, plural, count)


def pgettext(context: str, message: str) -> str:
    """Return the message as it is said in a context, where English has one word for two things."""
    return language().catalogue.pgettext(context, message)


def marked(message: str) -> str:
    """Mark a message for the catalogues; it is said later, with `gettext`."""
    return message


def best_language(*, chosen: str, accepted: str) -> str:
    """
    Return the code of the language to answer in.

    :param chosen: what the reader picked, if it is one of ours.
    :param accepted: the Accept-Language header.

    >>> best_language(chosen="", accepted="fr;q=0.9, pl-PL, en;q=0.8")
    'pl'
    """
    if chosen in languages():
        return chosen
    return next((code for code in _wanted(accepted) if code in languages()), SOURCE)


def _wanted(accepted: str) -> list[str]:
    ranked = []
    for place, part in enumerate(accepted[:200].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), place, tag.split("-")[0].lower()))
        except ValueError:
            continue
    return [code for rank, _, code in sorted(ranked) if rank < 0]


def _language(code: str) -> Language:
    locale = Locale.parse(_LOCALE_OF.get(code, code))
    name = Locale.parse(code).get_language_name(code) or code
    return Language(code, name[:1].upper() + name[1:], locale, _catalogue(code))


def _catalogue(code: str) -> catalogues.NullTranslations:
    if code == SOURCE:
        return catalogues.NullTranslations()
    compiled = BytesIO()
    with (FOLDER / f"{code}.po").open("rb") as written:
        write_mo(compiled, read_po(written, locale=code))
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)
