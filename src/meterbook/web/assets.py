"""
Files that pages load: the stylesheet, small scripts, pictures, and Plotly's script.

The address holds a hash of the content, so a browser keeps a file for good and a changed file has
another address. Each is compressed once, when it is first asked for.
"""

import gzip
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

ASSETS_PATH = "/assets"
PLOTLY = "plotly.min.js"
_FOLDER = Path(__file__).parent / "static"
# Found without importing it: the package takes half a second to import.
_PLOTLY_FILE = (
    Path(str(find_spec("plotly").origin)).parent / "package_data" / PLOTLY  # type: ignore[union-attr]
)
_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_SQUEEZABLE_BYTES_MIN = 1000  # below a packet there is nothing to win


class Asset(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    kind: str
    """Media type."""
    content: bytes
    fingerprint: str


@get(
    f"{ASSETS_PATH}/{{fingerprint:str}}/{{name:str}}", sync_to_thread=True, include_in_schema=False
)
def asset_file(
    request: Request[Any, Any, Any], fingerprint: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """Answer with the file, compressed as the browser can take it."""
    found = _assets().get(name)
    if found is None:
        raise NotFoundException("no such file")
    encoding, content = _encoded(name, request.headers.get("accept-encoding", ""))
    # During an upgrade a page of the other version may ask: it gets ours, but not for good.
    caching = _FOR_GOOD if fingerprint == found.fingerprint else "no-store"
    headers = {"Cache-Control": caching, "Vary": "Accept-Encoding"}
    if encoding:
        headers["Content-Encoding"] = encoding
    return Response(content, media_type=found.kind, headers=headers)


def asset(name: str) -> str:
    """Return the address of a file, with its fingerprint."""
    return f"{ASSETS_PATH}/{_assets()[name].fingerprint}/{name}"


@cache
def _assets() -> dict[str, Asset]:
    files = [*sorted(_FOLDER.iterdir()), _PLOTLY_FILE]
    return {file.name: _asset(file) for file in files}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(file.name, _KINDS[file.suffix], content, hashlib.sha256(content).hexdigest()[:16])


def _encoded(name: str, accepted: str) -> tuple[str, bytes]:
    offered = {part.split(";")[0].strip() for part in accepted.split(",")}
    for encoding in ("zstd", "gzip"):
        if encoding in offered and len(_assets()[name].content) >= _SQUEEZABLE_BYTES_MIN:
            return encoding, _squeezed(name, encoding)
    return "", _assets()[name].content


@cache
def _squeezed(name: str, encoding: str) -> bytes:
    content = _assets()[name].content
    if encoding == "gzip":
        return gzip.compress(content, 6, mtime=0)
    # Browsers refuse a window above 8 MiB.
    parameters = zstandard.ZstdCompressionParameters.from_level(12, window_log=22)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)
