"""
The template engine: what every template can say without being given it.

`_()` and `{% trans %}` speak the language of the request; `kwh`, `moment` and the others write
numbers and times as that language does.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.base import csrf_token
from markupsafe import Markup

from meterbook.domain.meter_ids import dashed
from meterbook.web import formats
from meterbook.web.assets import asset
from meterbook.web.form_tokens import FORM_COOKIE
from meterbook.web.languages import gettext, ngettext, pgettext
from meterbook.web.wording import before_words, missing_words, period_words

FOLDER = Path(__file__).parent / "templates"


def template_engine() -> JinjaTemplateEngine:
    """Return the engine of the pages."""
    engine = JinjaTemplateEngine.from_environment(environment())
    engine.register_template_callable("csrf_token", form_token)
    return engine


def environment() -> Environment:
    """Return the templates with their filters and words."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_gettext_callables(  # type: ignore[attr-defined]  # the i18n extension adds it
        gettext, ngettext, newstyle=True, pgettext=pgettext
    )
    templates.globals |= {
        "asset": asset,
        "period_words": period_words,
        "before_words": before_words,
        "missing_words": missing_words,
    }
    templates.filters |= {
        "kwh": formats.kwh,
        "number": formats.number,
        "percent": formats.percent,
        "day": formats.day,
        "moment": formats.moment,
        "utc_moment": utc_moment,
        "meter": dashed,
        "figure_json": figure_json,
        "next_day": next_day,
    }
    return templates


def form_token(context: Mapping[str, Any]) -> str:
    """
    Return the token that forms carry: the framework's, or on a page of a problem the cookie's.

    A request that matches no route never gets as far as where the framework makes one.
    """
    return csrf_token(context) or context["request"].cookies.get(FORM_COOKIE, "")


def next_day(instant: str) -> str:
    """
    Return the day after the one an ISO 8601 text begins with: the end of a half-open range.

    >>> next_day("2025-02-28T00:00:00Z")
    '2025-03-01'
    """
    return (date.fromisoformat(instant[:10]) + timedelta(days=1)).isoformat()


def utc_moment(instant: str) -> str:
    """
    Return an ISO 8601 instant as day and time of its own clock.

    >>> utc_moment("2025-02-08T09:30:00Z")
    '8 Feb 2025, 09:30'
    """
    return formats.moment(datetime.fromisoformat(instant))


def figure_json(figure: Any) -> Markup:
    """Return the figure as JSON that may stand inside a script element."""
    # Nothing in it can end the element: JSON needs no "<" outside strings.
    return Markup(msgspec.json.encode(figure).decode().replace("<", "\\u003c"))  # noqa: S704
