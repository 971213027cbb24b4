"""Posts three packets to the server in the same container."""

import json
import sys
import urllib.request

for hour in (1, 2, 3):
    packet = {"id": 999_999_999, "timestamp": f"2025-02-08T0{hour}:01:00Z", "reading_kWh": 1.5}
    request = urllib.request.Request(
        "http://127.0.0.1:8000/meter",
        data=json.dumps(packet).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 this container's own
        sys.stdout.write(f"{answer.status} {packet['timestamp']}\n")
