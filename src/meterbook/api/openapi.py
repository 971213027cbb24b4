"""
The OpenAPI schema: the framework's, completed with what it cannot know.

That is: the doors in front of it, the problem documents every route may answer with, and the
examples of the seed document, so that the two never tell different stories.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from meterbook.api.doors import DOOR_PATHS, DOOR_SCHEMAS
from meterbook.api.routes import TOKEN_SCHEME
from meterbook.api.seed_examples import SEED_EXAMPLES
from meterbook.api.wire_doors import WIRE_PATHS
from meterbook.problems import PROBLEM_JSON, TITLES, Problem

SCHEMA_PATH = "/schema"
SWAGGER_UI_PATH = "/swagger-ui"
# Asked for without importing it: the package brings web frameworks' adapters we do not need.
SWAGGER_UI_FOLDER = Path(str(find_spec("swagger_ui").origin)).parent / "static"  # type: ignore[union-attr]
_EVERYWHERE = (400, 429, 503)
_SECURED = (401, 403)
_REFERENCE = "#/components/schemas/{name}"


def completed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the framework's schema with the doors, the problems and the examples."""
    schemas = schema["components"].setdefault("schemas", {})
    problems = msgspec.json.schema_components([Problem], ref_template=_REFERENCE)[1]
    schemas.update(problems | DOOR_SCHEMAS)
    schema["paths"] |= DOOR_PATHS
    schema["components"]["securitySchemes"] = {
        TOKEN_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of /auth/login, or a meter's key at the doors for readings. "
            "`Authorization: Token ...` means the same.",
        }
    }
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            operation["responses"] |= _problem_responses(path, method, operation)
    schema["paths"] |= WIRE_PATHS  # they refuse in their own words
    for name, example in SEED_EXAMPLES.items():
        schemas[name]["examples"] = [example]
    return schema


def _problem_responses(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    statuses = set(_EVERYWHERE)
    if operation.get("security") != [{}]:
        statuses.update(_SECURED)
    if operation.get("requestBody") and operation.get("security") == [{}]:
        statuses.add(401)
    if "{" in path or method == "delete":
        statuses.add(404)
    if method in {"post", "patch", "delete"}:
        statuses.add(409)
    content = {PROBLEM_JSON: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}
    return {
        str(status): {"description": TITLES[status], "content": content}
        for status in sorted(statuses)
        if str(status) not in operation["responses"] or status == 400  # noqa: PLR2004 the framework's own
    }


class SchemaDocument(OpenAPIRenderPlugin):
    """`/schema`: the document itself."""

    def __init__(self) -> None:
        super().__init__(path=["/", "/openapi.json"], media_type=MediaType.JSON)
        self._document = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the completed schema; it is the same for as long as the server runs."""
        del request
        if not self._document:
            self._document = msgspec.json.encode(completed(openapi_schema))
        return self._document


class SchemaDocs(OpenAPIRenderPlugin):
    """`/schema/docs`: the same to read and to try, with Swagger UI from its package."""

    def __init__(self) -> None:
        super().__init__(path="/docs")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page; it needs nothing from elsewhere and runs no inline script."""
        del request, openapi_schema
        return _DOCS_PAGE


_DOCS_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; base-uri 'none'; form-action 'none'">
<title>Meterbook API</title>
<link rel="icon" href="{SWAGGER_UI_PATH}/favicon-32x32.png">
<link rel="stylesheet" href="{SWAGGER_UI_PATH}/swagger-ui.css">
<script src="{SWAGGER_UI_PATH}/swagger-ui-bundle.js" defer></script>
<script src="/assets/latest/schema-docs.js" defer></script>
</head>
<body><main id="docs" data-schema="{SCHEMA_PATH}"></main></body>
</html>
""".encode()
