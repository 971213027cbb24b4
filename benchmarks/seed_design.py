"""
The baseline people start from: a meter server as the seed describes it, in Flask.

A packet goes into a class, the class into a nested dictionary of today, and today is written to a
recovery file every two hours. An answer promises nothing: what came since the last file is lost
with the process. `python -m benchmarks.seed_design PORT FILE` is Flask's own server, as the seed is
run; `gunicorn benchmarks.seed_design:app` the kinder way.
"""

import json
import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request

RECOVERY_S = 7200
app = Flask(__name__)
_today: dict[str, dict[str, float]] = {}
_lock = threading.Lock()
_recovery = {"at": time.monotonic()}


class JSONPacket:
    """A packet of a meter: data structure 1.1 of the seed."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.id = str(int(fields["id"]))
        self.timestamp = datetime.fromisoformat(fields["timestamp"])
        self.reading_kwh = float(fields["reading_kWh"])


@app.post("/meter")
def take_packet() -> Any:
    """Add a packet to today's dictionary, data structure 1.2."""
    packet = JSONPacket(request.get_json())
    with _lock:
        day = _today.setdefault(packet.id, {})
        day[packet.timestamp.strftime("%H:%M")] = packet.reading_kwh
        if time.monotonic() - _recovery["at"] > RECOVERY_S:
            _write_recovery()
    return jsonify(status="received"), 201


@app.get("/count")
def count() -> Any:
    """Return how many readings today's dictionary holds; not part of the seed."""
    with _lock:
        return jsonify(sum(map(len, _today.values())))


def _write_recovery() -> None:
    Path(os.environ["SEED_RECOVERY"]).write_text(json.dumps(_today), encoding="ascii")
    _recovery["at"] = time.monotonic()


if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
