"""
The doors for readings as the OpenAPI schema describes them.

`POST /meter` and `POST /readings` are answered in front of the framework (see `intake`), which
therefore cannot describe them. A test sends what is described here to the real doors.
"""

from typing import Any

from meterbook.problems import PROBLEM_JSON

_PROBLEM = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_METER_ID = {
    "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        {"type": "string", "pattern": "^[0-9]{3}-[0-9]{3}-[0-9]{3}$"},
    ],
    "description": "Meter ID, with or without dashes.",
}
_COUNT = {"type": "integer", "minimum": 0}

DOOR_SCHEMAS: dict[str, Any] = {
    "Packet": {
        "type": "object",
        "required": ["id", "timestamp", "reading_kWh"],
        "properties": {
            "id": _METER_ID,
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "ISO 8601 with zone, at most 5 minutes ahead. The packet covers "
                "the half hour that ended at or before it.",
            },
            "reading_kWh": {
                "type": "number",
                "minimum": 0,
                "maximum": 1000,
                "description": "Energy of that half hour, kept to 1 Wh.",
            },
        },
        "examples": [{"id": 999999999, "timestamp": "2025-02-08T00:31:00Z", "reading_kWh": 5.5}],
    },
    "StoredPacket": {
        "type": "object",
        "required": ["id", "starts_at", "ends_at", "reading_kWh"],
        "properties": {
            "id": {"type": "integer"},
            "starts_at": {"type": "string", "format": "date-time"},
            "ends_at": {"type": "string", "format": "date-time"},
            "reading_kWh": {"type": "number"},
        },
    },
    "UploadAnswer": {
        "type": "object",
        "required": ["accepted", "repeated", "replaced", "rejected", "rejected_rows"],
        "properties": {
            "accepted": _COUNT,
            "repeated": _COUNT,
            "replaced": _COUNT,
            "rejected": _COUNT,
            "rejected_rows": {"type": "array", "items": {"type": "object"}},
        },
    },
}


def _answers(**described: tuple[str, str]) -> dict[str, Any]:
    return {
        status.removeprefix("s"): {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
        for status, (schema, description) in described.items()
    } | {
        status: {"description": description, "content": _PROBLEM}
        for status, description in (
            ("401", "A key is required and missing or wrong."),
            ("413", "The body is too large."),
            ("415", "Not a media type that is understood here."),
        )
    }


DOOR_PATHS: dict[str, Any] = {
    "/meter": {
        "post": {
            "tags": ["Readings"],
            "operationId": "PostPacket",
            "summary": "A meter's half-hourly packet",
            "description": "Answered when it is on disk. The same packet again is stored once.",
            "security": [{}, {"Token": []}],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Packet"}}
                },
            },
            "responses": _answers(s201=("StoredPacket", "The packet is on disk.")),
        }
    },
    "/readings": {
        "post": {
            "tags": ["Readings"],
            "operationId": "PostReadings",
            "summary": "Many packets at once",
            "description": "JSON array, NDJSON, CSV or Parquet; gzip and zstd. All rows are "
            "checked before any is stored.",
            "security": [{}, {"Token": []}],
            "parameters": [
                {
                    "name": "partial",
                    "in": "query",
                    "description": "Store the good rows where some are wrong.",
                    "schema": {"type": "boolean", "default": False},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "array",
                            "items": {
                                "description": "A Packet; whatever is none is counted as rejected."
                            },
                        }
                    }
                },
            },
            "responses": _answers(
                s200=("UploadAnswer", "Nothing new: all rows were stored before."),
                s201=("UploadAnswer", "The rows are on disk."),
            ),
        }
    },
}
