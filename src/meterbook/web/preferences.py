"""`POST /preferences`: language and light or dark, remembered by the browser."""

from typing import Annotated, Any

import msgspec
from litestar import Request, post
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
    request: Request[Any, Any, Any],
    data: Annotated[PreferencesForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect:
    """Remember what was chosen and go back; what we do not have changes nothing."""
    cookies = []
    if data.language in languages():
        cookies.append(preference_cookie(request, LANGUAGE_COOKIE, data.language))
    if data.theme in THEMES:
        cookies.append(preference_cookie(request, THEME_COOKIE, data.theme))
    return Redirect(safe_target(data.next or "/"), status_code=303, cookies=cookies)
