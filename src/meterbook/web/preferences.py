"""`POST /preferences`: language and light or dark, remembered by the browser."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect

from meterbook.web.languages import LANGUAGE_COOKIE, languages
from meterbook.web.pages import THEME_COOKIE, THEMES, preference_cookie, safe_target


class PreferencesForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    language: str = ""
    theme: str = ""
    next: str = ""


@post("/preferences", sync_to_thread=False, include_in_schema=False)
def set_preferences(
    data: Annotated[PreferencesForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    """Remember what was chosen and go back; what we do not have changes nothing."""
    cookies = []
    if data.language in languages():
        cookies.append(preference_cookie(LANGUAGE_COOKIE, data.language))
    if data.theme in THEMES:
        cookies.append(preference_cookie(THEME_COOKIE, data.theme))
    return Redirect(safe_target(data.next or "/"), status_code=303, cookies=cookies)
