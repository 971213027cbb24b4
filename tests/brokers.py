"""A real Mosquitto on a free loopback port, which can be stopped and started again."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiomqtt

from servers import free_port
from services import need, program

START_S_MAX = 20


class Mosquitto:
    """A broker with a persistent store."""

    def __init__(self, folder: Path, *, more: Sequence[str] = ("allow_anonymous true",)) -> None:
        """
        Prepare; `start` starts it.

        :param more: lines of its settings: who may come in, and how.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._settings = folder / "mosquitto.conf"
        # As root Mosquitto would give its rights away, and with them its folder.
        self._settings.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\n"
            f"persistence_location {folder}/\nuser root\nmax_queued_messages 0\n"
            f"log_dest file {folder}/mosquitto.log\n" + "\n".join(more) + "\n",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [str(program("mosquitto")), "-c", str(self._settings)]
        self._process = subprocess.Popen(command)
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("Mosquitto did not start")

    def stop(self) -> None:
        """Stop it; it writes its store."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def publish(
        self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Publish by Mosquitto's own client."""
        text = payload if isinstance(payload, bytes) else payload.encode()
        command = [str(program("mosquitto_pub")), "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-t", topic, "-q", str(qos), "-s", *(["-r"] if retain else [])]
        subprocess.run(command, input=text, check=True, timeout=20)

    def client(self, **more: object) -> aiomqtt.Client:
        """Return an aiomqtt client of it."""
        return aiomqtt.Client("127.0.0.1", self.port, **more)  # type: ignore[arg-type]


@contextmanager
def running_broker(
    folder: Path, *, more: Sequence[str] = ("allow_anonymous true",)
) -> Iterator[Mosquitto]:
    """Start a broker and leave nothing of it behind."""
    need(program("mosquitto") and program("mosquitto_pub"), "Mosquitto")
    broker = Mosquitto(folder, more=more)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
