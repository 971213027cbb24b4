"""
The doors of devices as the OpenAPI schema describes them: requests other projects have defined.

Their answers are those projects' own: emoncms refuses with 200, nobody with a problem document. A
test sends every example to the real doors and looks whether the answer is one described here.
"""

from typing import Any

DEVICES_TAG = "Devices"
_STORED_LATER = "It cannot be stored now; nothing was. Send it again."
_WRONG_KEY = "The key is missing or wrong."
_JSON, _TEXT = "application/json", "text/plain"
_OBJECT = {"type": "object"}


def _parameter(name: str, description: str, *, place: str = "query", **schema: Any) -> Any:
    return {
        "name": name,
        "in": place,
        "required": place == "path" or schema.pop("required", False),
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _body(media_type: str, example: Any, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"schema": schema or {"type": "string"}, "example": example}
    return {"required": True, "content": {media_type: content}}


def _answers(**described: tuple[str, str | None]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "401": {"description": _WRONG_KEY},
        "413": {"description": "The body is too large."},
        "429": {"description": "Too many wrong keys from this address; Retry-After says how long."},
        "503": {"description": _STORED_LATER},
    }
    for status, (description, media_type) in described.items():
        content: dict[str, Any] = {media_type: {"schema": {}}} if media_type else {}
        found[status.removeprefix("s")] = {"description": description} | (
            {"content": content} if content else {}
        )
    return dict(sorted(found.items()))


def _operation(
    name: str,
    summary: str,
    description: str,
    responses: dict[str, Any],
    *,
    parameters: list[Any] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "tags": [DEVICES_TAG],
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": [{}, {"Token": []}],
        "parameters": parameters or [],
        **({"requestBody": body} if body else {}),
        "responses": responses,
    }


_APIKEY = _parameter("apikey", "A device key; or as `Authorization: Bearer`.")
_EMONCMS_ANSWERS = _answers(
    s200=("`ok`, or an object with `success`: false and `message` where something is wrong.", _TEXT)
)
_EMONCMS_ANSWERS["200"]["content"][_JSON] = {"schema": _OBJECT}
_FORM = "application/x-www-form-urlencoded"
_LINES = "power,host=roof watts=230.5,total=1204i 1790000000"
_INFLUX_ANSWERS = _answers(
    s204=("Every line is on disk.", None),
    s400=("A line is wrong: nothing of the body is kept, and the answer names the line.", _JSON),
    s401=(_WRONG_KEY, _JSON),
)

WIRE_PATHS: dict[str, Any] = {
    "/input/post": {
        "post": _operation(
            "EmoncmsInputPost",
            "emoncms: numbers of one moment",
            "As emoncms's input API; also by GET, below `/emoncms`, with `.json` at its end, and "
            "with the node in the path. Numbers are in `fulljson`, `json`, `csv` or `data`.",
            _EMONCMS_ANSWERS,
            parameters=[_APIKEY],
            body=_body(
                _FORM,
                {"node": "roof", "fulljson": '{"power": 230.5}'},
                {
                    "type": "object",
                    "properties": {
                        name: {"type": "string"}
                        for name in ("node", "time", "fulljson", "json", "csv", "data", "apikey")
                    },
                },
            ),
        )
    },
    "/input/bulk": {
        "post": _operation(
            "EmoncmsInputBulk",
            "emoncms: rows of many moments",
            "`data` is `[[seconds, node, number, ...], ...]`, from `sentat`, `offset` or `time` "
            "on, else to now. zlib with `cb` or `c`; `Content-Type: aes128cbc` as IoTaWatt sends.",
            _EMONCMS_ANSWERS,
            parameters=[_APIKEY],
            body=_body(
                _FORM,
                {"data": '[[0, "roof", 230.5], [10, "roof", 231]]', "time": "1790000000"},
                {
                    "type": "object",
                    "properties": {
                        name: {"type": "string"}
                        for name in ("data", "sentat", "offset", "time", "c", "apikey")
                    },
                },
            ),
        )
    },
    "/input/get": {
        "get": _operation(
            "EmoncmsInputGet",
            "emoncms: the newest number of every input",
            "IoTaWatt asks where it left off.",
            _answers(s200=("By input: time, value.", _JSON)),
            parameters=[_APIKEY, _parameter("node", "Only of this one.", example="roof")],
        )
    },
    "/write": {
        "post": _operation(
            "InfluxWrite1",
            "InfluxDB 1: line protocol",
            "The password is a device key, in `p`, as Basic or as a token.",
            _INFLUX_ANSWERS,
            parameters=[
                _parameter(
                    "db", "Becomes part of the device's name.", required=True, example="home"
                ),
                _parameter(
                    "precision",
                    "Of the stamps.",
                    enum=["ns", "n", "us", "u", "ms", "s", "m", "h"],
                    example="s",
                ),
                _parameter("p", "A device key."),
            ],
            body=_body(_TEXT, _LINES),
        )
    },
    "/api/v2/write": {
        "post": _operation(
            "InfluxWrite2",
            "InfluxDB 2: line protocol",
            "The token is a device key. gzip is understood.",
            _INFLUX_ANSWERS,
            parameters=[
                _parameter(
                    "bucket", "Becomes part of the device's name.", required=True, example="home"
                ),
                _parameter("org", "Any."),
                _parameter(
                    "precision", "Of the stamps.", enum=["ns", "us", "ms", "s"], example="s"
                ),
            ],
            body=_body(_TEXT, _LINES),
        )
    },
    "/query": {
        "get": _operation(
            "InfluxQuery",
            "InfluxQL: energy of meters",
            "For Grafana; the guide says what is understood. The password, or token, is one of the "
            "API. With a device's key, and to what is no SELECT, the answer is empty. POST, too.",
            _answers(
                s200=("results", _JSON),
                s400=("The query is not understood; `error` names the part.", _JSON),
                s401=(_WRONG_KEY, _JSON),
            ),
            parameters=[
                _parameter("q", "The query.", example="SHOW DATABASES"),
                _parameter("epoch", "Unit of the stamps; without it they are ISO 8601."),
                _parameter("p", "A token of the API."),
            ],
        )
    },
    "/data/{uuid}.json": {
        "post": _operation(
            "VzloggerData",
            "volkszaehler: numbers of a channel",
            "As vzlogger posts them, also below `/middleware.php`. The UUID is the key.",
            _answers(
                s200=("version, rows", _JSON),
                s400=("exception", _JSON),
                s401=(_WRONG_KEY, _JSON),
            ),
            parameters=[
                _parameter(
                    "uuid", "The key.", place="path", example="f0e9571a-45d9-45f0-8ae1-e528c01f82ba"
                )
            ],
            body=_body(
                _JSON, [[1790000000000, 1204.5]], {"type": "array", "items": {"type": "array"}}
            ),
        )
    },
    "/api/v1/{token}/telemetry": {
        "post": _operation(
            "ThingsboardTelemetry",
            "ThingsBoard: telemetry of a device",
            "Numbers by name, `{ts, values}`, or an array of those.",
            _answers(
                s200=("On disk.", None),
                s400=("message", _JSON),
                s401=(_WRONG_KEY, _JSON),
            ),
            parameters=[_parameter("token", "The device's key.", place="path")],
            body=_body(_JSON, {"ts": 1790000000000, "values": {"energy": 12.5}}, {}),
        )
    },
}
