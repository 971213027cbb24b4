"""
Uses a whole installation as people and devices do, through its proxy, and says what it saw.

    exercise.py --url https://127.0.0.1:18443 --mqtt-port 18883 --secrets SECRETS -- COMMAND

COMMAND runs `meterbook` where the installation is: podman exec -i meterbook_web_1 meterbook. The
first thing that is not as promised ends it with exit code 1. An installation without a broker has
no `--mqtt-port`.
"""

import argparse
import json
import re
import secrets
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

PASSWORD = secrets.token_urlsafe(18)
WITH_KEY, BY_MQTT = 123_456_789, 123_456_790
WAIT_S = 30


def main() -> None:
    """Do one thing after the other."""
    options = arguments()
    any_certificate = ssl.create_default_context()
    any_certificate.check_hostname = False
    any_certificate.verify_mode = ssl.CERT_NONE
    with httpx.Client(base_url=options.url, verify=any_certificate, timeout=60) as client:
        name = f"a{secrets.token_hex(4)}"
        run(options.command, "account", "create", name, "--email", f"{name}@example.com",
            "--role", "admin", stdin=PASSWORD)  # fmt: skip
        claimed_key = claimed_meter(client, options.command, name)
        doors_refuse(client)
        sign_in(client, name)
        live_stream_is_not_gathered(client, claimed_key)
        if options.mqtt_port:
            broker_hands_over(client, options)
        forged_addresses_do_not_help(client, name)
    run(options.command, "verify")
    said("the books are in order")


def claimed_meter(client: httpx.Client, command: list[str], name: str) -> str:
    """Claim a meter through the API and give it a key."""
    answer = client.post("/auth/login", json={"username": name, "password": PASSWORD})
    require(answer.status_code == 200, "an account signs in through the API", answer)
    token, user = answer.json()["token"], answer.json()["user"]["id"]
    headers = {"Authorization": f"Token {token}"}
    for meter in (WITH_KEY, BY_MQTT):
        answer = client.post(
            "/admin/meter-points", json={"meter_id": meter, "user": user}, headers=headers
        )
        require(answer.status_code in {201, 400, 409}, f"meter {meter} is claimed", answer)
    return run(command, "meter", "key", str(WITH_KEY)).split()[-1]


def doors_refuse(client: httpx.Client) -> None:
    """See who is turned away, and where."""
    answer = client.post("/meter", json=packet(WITH_KEY))
    require(answer.status_code == 401, "a packet without a key is refused behind the proxy", answer)
    answer = client.get("/metrics")
    require(answer.status_code in {403, 404}, "metrics are not shown to everybody", answer)


def sign_in(client: httpx.Client, name: str) -> None:
    """Sign in as a browser does; every cookie must be Secure."""
    page = client.get("/sign-in")
    form = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    if form is None:
        raise SystemExit("the sign-in page has no form")
    answer = client.post(
        "/sign-in",
        data={"username": name, "password": PASSWORD, "_csrf_token": form[1]},
        headers={"origin": str(client.base_url).rstrip("/")},
    )
    cookies = [*page.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    require("meterbook_session" in client.cookies, "a browser signs in", answer)
    require(all("; Secure" in cookie for cookie in cookies), "every cookie is Secure", answer)
    require(
        "max-age" in answer.headers.get("strict-transport-security", ""), "HTTPS is to stay", answer
    )


def live_stream_is_not_gathered(client: httpx.Client, key: str) -> None:
    """Open a page's stream, send a packet, and see it arrive while the stream is open."""
    with client.stream("GET", f"/profile/{WITH_KEY}/live") as stream:
        require(stream.status_code == 200, "a page's stream opens", stream)
        began, sent = time.monotonic(), False
        for line in stream.iter_lines():
            if not sent:
                answer = client.post(
                    "/meter", json=packet(WITH_KEY), headers={"Authorization": f"Bearer {key}"}
                )
                require(answer.status_code == 201, "a packet with a key is stored", answer)
                sent = True
            if line == "event: reading":
                said(f"its reading is on the open page after {time.monotonic() - began:.1f} s")
                return
            if time.monotonic() - began > WAIT_S:
                break
    raise SystemExit("the reading did not come through the stream")


def broker_hands_over(client: httpx.Client, options: argparse.Namespace) -> None:
    """Send a packet to the broker as a device, and find it in the book."""
    publish = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(options.mqtt_port), "-q", "1"]
    message = ["-t", "meterbook/packets", "-m", json.dumps(packet(BY_MQTT))]
    stranger = subprocess.run([*publish, *message], capture_output=True, check=False)
    if stranger.returncode == 0:
        raise SystemExit("the broker lets strangers in")
    said("the broker refuses strangers")
    password = (options.secrets / "mqtt_password_devices").read_text("ascii").strip()
    subprocess.run([*publish, "-u", "devices", "-P", password, *message], check=True)
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        answer = client.get(
            f"/profile/{BY_MQTT}/consumption",
            params={"period": "prev-day"},
            headers={"Accept": "application/json"},
        )
        if answer.status_code == 200 and answer.json()["total_kWh"]:
            said("a packet sent to the broker is in the book")
            return
        time.sleep(0.5)
    raise SystemExit(f"the packet sent to the broker did not arrive: {answer.text[:200]}")


def forged_addresses_do_not_help(client: httpx.Client, name: str) -> None:
    """Guess a password under another address each time: the brake must see the real one."""
    wrong = {"username": name, "password": "wrong"}
    statuses = []
    for last in range(14):  # twice the limit: the minute may turn between two of them
        forged = {"X-Forwarded-For": f"198.51.100.{last}", "Forwarded": f"for=198.51.100.{last}"}
        statuses.append(client.post("/auth/login", json=wrong, headers=forged).status_code)
    if 429 not in statuses:
        raise SystemExit(f"forged addresses evade the brake: {statuses}")
    said("who guesses is slowed down, whatever address they claim")


def packet(meter: int) -> dict[str, object]:
    """Return a packet of yesterday noon."""
    noon = datetime.now(UTC).replace(hour=12, minute=1, second=0, microsecond=0)
    return {"id": meter, "timestamp": (noon - timedelta(days=1)).isoformat(), "reading_kWh": 1.5}


def run(command: list[str], *words: str, stdin: str = "") -> str:
    """Run `meterbook` there."""
    done = subprocess.run(
        [*command, *words], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"meterbook {' '.join(words)}: {done.stderr}")
    return done.stdout


def require(holds: object, what: str, answer: httpx.Response) -> None:
    """Say what was seen, or end."""
    if not holds:
        answer.read()
        raise SystemExit(f"NOT so: {what}: {answer.status_code} {answer.text[:300]}")
    said(what)


def said(what: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(f"ok  {what}\n")


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--mqtt-port", type=int)
    parser.add_argument("--secrets", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.mqtt_port and not options.secrets:
        parser.error("--mqtt-port needs --secrets")
    return options


if __name__ == "__main__":
    main()
