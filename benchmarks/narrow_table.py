"""
A plain narrow PostgreSQL table behind the thinnest honest server: what a good afternoon gives.

The same ASGI server as Meterbook's, msgspec, asyncpg with a pool of connections, one INSERT with
its own commit for each packet. No registry, no keys, no corrections, no checks but the types.

`python -m benchmarks.narrow_table PORT` with the database in NARROW_DATABASE.
"""

import os
import sys
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import msgspec

from meterbook.serving.server import serve_application

CONNECTIONS = 32  # 16, 32 and 64 were tried: 32 was the fastest here
HALF_HOUR_S = 1800
TABLE = """
    CREATE TABLE IF NOT EXISTS readings (
        meter_id integer, starts_at integer, wh integer, PRIMARY KEY (meter_id, starts_at)
    )
"""
_INSERT = """
    INSERT INTO readings VALUES ($1, $2, $3)
    ON CONFLICT (meter_id, starts_at) DO UPDATE SET wh = excluded.wh
"""
_MONTH = """
    SELECT starts_at / 86400 AS day, sum(wh) FROM readings
    WHERE meter_id = $1 AND starts_at >= $2 AND starts_at < $3 GROUP BY day ORDER BY day
"""
_HEADERS = [(b"content-type", b"application/json")]


class _Packet(msgspec.Struct):
    id: int
    timestamp: datetime
    reading_kWh: float  # noqa: N815 the wire's name


_decode = msgspec.json.Decoder(_Packet).decode


class NarrowTable:
    """`POST /meter` and `GET /month?meter=&from=&to=` (epoch seconds)."""

    def __init__(self) -> None:
        self._pool: Any = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"] == "/meter":
            status, body = 201, await self._record(await receive())
        elif scope["path"] == "/month":
            status, body = 200, await self._month(parse_qs(scope["query_string"].decode()))
        else:
            status, body = 200, b""
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(
            os.environ["NARROW_DATABASE"], min_size=CONNECTIONS, max_size=CONNECTIONS
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _record(self, message: dict[str, Any]) -> bytes:
        packet = _decode(message["body"])
        starts_at = int(packet.timestamp.timestamp()) // HALF_HOUR_S * HALF_HOUR_S - HALF_HOUR_S
        async with self._pool.acquire() as connection:
            await connection.execute(
                _INSERT, packet.id, starts_at, round(packet.reading_kWh * 1000)
            )
        return b'{"status":"stored"}'

    async def _month(self, asked: dict[str, list[str]]) -> bytes:
        wanted = [int(asked[name][0]) for name in ("meter", "from", "to")]
        async with self._pool.acquire() as connection:
            days = await connection.fetch(_MONTH, *wanted)
        return msgspec.json.encode([(row[0], row[1]) for row in days])


def create_app() -> NarrowTable:
    """Return the application."""
    return NarrowTable()


if __name__ == "__main__":
    serve_application("benchmarks.narrow_table:create_app", port=int(sys.argv[1]))
