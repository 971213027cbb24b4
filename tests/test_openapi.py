"""
The public contract: the OpenAPI schema is a snapshot, so a change of it shows in the diff.

After a wanted change: `python tests/test_openapi.py` writes it anew.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from meterbook.api.openapi import completed
from meterbook.api.seed_examples import SEED_EXAMPLES
from meterbook.api.wire_doors import DEVICES_TAG
from meterbook.app import DEPENDENCIES, OPENAPI, ROUTES

SNAPSHOT = Path(__file__).with_name("openapi.json")


def schema_of_today() -> dict[str, Any]:
    """Return the schema the application serves."""
    app = Litestar(ROUTES, dependencies=DEPENDENCIES, openapi_config=OPENAPI)
    whole: dict[str, Any] = completed(app.openapi_schema.to_schema())
    whole["info"]["version"] = "any"
    return json.loads(json.dumps(whole))  # type: ignore[no-any-return]


def written(schema: dict[str, Any]) -> str:
    """Return the snapshot's text."""
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def test_the_schema_is_the_one_agreed_upon() -> None:
    assert json.loads(SNAPSHOT.read_text(encoding="utf-8")) == schema_of_today()


@pytest.mark.parametrize("name", SEED_EXAMPLES)
def test_an_example_of_the_seed_is_in_the_schema_and_fits_it(name: str) -> None:
    described = schema_of_today()["components"]["schemas"][name]
    assert described["examples"] == [SEED_EXAMPLES[name]]
    assert set(described["required"]) <= set(SEED_EXAMPLES[name]) <= set(described["properties"])


def test_every_operation_says_who_may_call_it_and_how_it_refuses() -> None:
    for path, item in schema_of_today()["paths"].items():
        for method, operation in item.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            if DEVICES_TAG in operation.get("tags", ()):  # refuse in the words of other projects
                assert {"401", "503"} <= set(operation["responses"]), place
                continue
            assert "400" in operation["responses"], place
            if operation.get("security") != [{}] and path != "/readings":
                assert "401" in operation["responses"], place


if __name__ == "__main__":
    SNAPSHOT.write_text(written(schema_of_today()), encoding="utf-8")
