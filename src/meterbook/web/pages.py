"""What every page shares: telling pages from JSON, and the way to the sign-in page and back."""

from typing import Any
from urllib.parse import quote

from litestar import Request
from litestar.response import Redirect

SIGN_IN_PATH = "/sign-in"


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Say whether the caller is a browser: it asks for HTML before JSON."""
    return request.accept.best_match(["application/json", "text/html"], "application/json") == (
        "text/html"
    )


def sign_in_first(request: Request[Any, Any, Any]) -> Redirect:
    """Send a browser to the sign-in page, which sends it back here."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect(f"{SIGN_IN_PATH}?next={quote(target)}", status_code=303)


def safe_target(target: str) -> str:
    """Return where to go after signing in: a path of ours, whatever a link says."""
    if not target.startswith("/") or target.startswith(("//", "/\\")) or "\n" in target:
        return "/profile"
    return target
