"""
A server that never gets from receiving a message to committing it, to be killed in between.

With `--acknowledge-early` it also acknowledges as both MQTT libraries do unless told otherwise: the
control, which must lose the message.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from meterbook import app
from meterbook.intake.wire import mqtt
from meterbook.intake.wire.mqtt_client import Connection
from meterbook.intake.wire.pool_recorder import PoolRecorder
from meterbook.serving.server import serve_application

RECEIVED = "received"


def _never_commit(_recorder: PoolRecorder, _deliveries: Any) -> Any:
    Path(os.environ["METERBOOK_DATA_DIR"], RECEIVED).touch()
    time.sleep(600)


class _EarlyAcknowledgement(Connection):
    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._client.manual_ack_set(on=False)


def create() -> app.ASGIApplication:
    """Return the application that never commits a message."""
    setattr(PoolRecorder, "record", _never_commit)
    if "--acknowledge-early" in sys.argv or os.environ.get("ACKNOWLEDGE_EARLY"):
        setattr(mqtt, "Connection", _EarlyAcknowledgement)
    return app.create_app()


if __name__ == "__main__":
    if "--acknowledge-early" in sys.argv:
        os.environ["ACKNOWLEDGE_EARLY"] = "1"  # the worker is a process of its own
    serve_application("slow_pool_server:create", port=int(sys.argv[sys.argv.index("--port") + 1]))
