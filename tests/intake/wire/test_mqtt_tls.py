"""A broker that asks for a password and speaks TLS only, with a certificate of its own."""

import json
import subprocess
import time
from pathlib import Path

from brokers import running_broker
from certificates import make_certificate
from device_owners import samples_of
from meterbook.storage.database import Database
from servers import running_server
from services import need, program

WAIT_S_MAX = 20


def test_a_broker_with_a_password_and_tls_is_listened_to_if_its_certificate_is_known(
    sqlite_url: str, tmp_path: Path
) -> None:
    need(program("mosquitto_passwd"), "Mosquitto")
    certificate, key = make_certificate(tmp_path)
    passwords = tmp_path / "passwords"
    command = [str(program("mosquitto_passwd")), "-b", "-c", str(passwords), "book", "s3cr@t"]
    subprocess.run(command, check=True, capture_output=True)
    more = (
        "allow_anonymous false",
        f"password_file {passwords}",
        f"certfile {certificate}",
        f"keyfile {key}",
    )
    with running_broker(tmp_path / "broker", more=more) as broker:
        settings = {
            "mqtt_url": f"mqtts://book:s3cr%40t@127.0.0.1:{broker.port}",
            "mqtt_ca_file": str(certificate),
        }
        with running_server(
            tmp_path / "data", database_url=sqlite_url, settings=settings
        ) as server:
            book = Database(sqlite_url)
            end = time.monotonic() + WAIT_S_MAX
            while not samples_of(book, "mqtt", "emon/tls") and time.monotonic() < end:
                publish_by_tls(broker.port, certificate)
                time.sleep(0.2)
            assert samples_of(book, "mqtt", "emon/tls")
            book.close()
            assert "s3cr" not in server.log.read_text(encoding="utf-8")
        strangers = {"mqtt_url": settings["mqtt_url"]}
        with running_server(tmp_path / "other", settings=strangers) as server:
            end = time.monotonic() + WAIT_S_MAX
            while (
                "broker lost" not in server.log.read_text(encoding="utf-8")
                and time.monotonic() < end
            ):
                time.sleep(0.05)
            log = server.log.read_text(encoding="utf-8")
    assert "CERTIFICATE_VERIFY_FAILED" in log
    assert "broker connected" not in log


def publish_by_tls(port: int, certificate: Path) -> None:
    command = [str(program("mosquitto_pub")), "-h", "127.0.0.1", "-p", str(port), "-q", "1"]
    command += ["--cafile", str(certificate), "-u", "book", "-P", "s3cr@t"]
    command += ["-t", "emon/tls", "-m", json.dumps({"power": 1})]
    subprocess.run(command, check=True, timeout=20)
