"""`meterbook demo`: starts, answers who signs in, and leaves no process behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from commands import run_command
from meterbook.simulate.demo_homes import ZONE, demo_homes
from meterbook.simulate.packets import sent_starts
from meterbook.simulate.real_homes import MISSING
from servers import Server, free_port, running_server

METER = 999_999_999


def running_demo(folder: Path, *options: str) -> AbstractContextManager[Server]:
    """Give a started demo whose readings are in `demo`, below the folder."""
    command = ("-m", "meterbook", "demo", "--data-dir", str(folder / "demo"), *options)
    return running_server(folder, command=command)


def processes_of_group(group: int) -> list[int]:
    """Return the processes of the group that still run; Linux only."""
    alive = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, _parent, found = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(found) == group and state != "Z":
                alive.append(int(entry.name))
    return alive


@contextmanager
def signed_in(url: str, name: str) -> Iterator[httpx.Client]:
    """Give a browser's stand-in that has filled in the sign-in form."""
    page = {"Accept": "text/html"}
    with httpx.Client(base_url=url, follow_redirects=True) as browser:
        form = browser.get("/sign-in", headers=page).text
        token = re.search(r'name="_csrf_token" value="([^"]+)"', form)
        assert token is not None
        fields = {"username": name, "password": f"demo-{name}", "_csrf_token": token[1]}
        assert browser.post("/sign-in", data=fields, headers=page).is_success
        yield browser


def assert_none_left(group: int) -> None:
    """Wait for Python's own bookkeeping process, which goes a moment after its parent."""
    ends_at = time.monotonic() + 5
    while left := processes_of_group(group):
        assert time.monotonic() < ends_at, f"{left} still run"
        time.sleep(0.02)


def assert_a_file_comes_in(url: str) -> None:
    """Import a file: the server is forked from what filled the demo, and must still read it."""
    admin = {"username": "admin", "password": "demo-admin"}
    token = httpx.post(f"{url}/auth/login", json=admin).json()["token"]
    answer = httpx.post(
        f"{url}/imports",
        content=b"meter,start,kWh\n7,2020-01-01T00:00:00Z,0.5\n",
        headers={"Authorization": f"Token {token}"},
        timeout=30,
    )
    assert answer.is_success, answer.text
    assert answer.json()["new_days"] == 1


def expected_wh(first_day: date, end_day: date) -> int:
    [home] = [home for home in demo_homes() if home.meter_id == METER]
    energy = home.readings(sent_starts(first_day, end_day, zone=ZONE))
    return int(energy[energy != MISSING].sum())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_shows_last_months_consumption_and_stops_without_leaving_a_process(
    tmp_path: Path, end: signal.Signals
) -> None:
    with running_demo(tmp_path, "--days", "70") as server:
        running = len(processes_of_group(server.process.pid))
        with signed_in(server.url, "household") as browser:
            answer = browser.get(
                f"/profile/{METER}/consumption?period=prev-month",
                headers={"Accept": "application/json"},
            ).json()
        welcome = server.log.read_text()
        server.process.send_signal(end)
        code = server.process.wait(30)
        assert_none_left(server.process.pid)

    first_day, end_day = (date.fromisoformat(answer[key][:10]) for key in ("starts_at", "ends_at"))
    total_wh = expected_wh(first_day, end_day)
    assert total_wh > 100_000
    assert answer["total_kWh"] == total_wh / 1000
    assert answer["missing_intervals"] >= (end_day - first_day).days
    assert running >= 3  # the supervisor, the server, the meters
    assert code == 0
    assert server.url in welcome
    assert "demo-household" in welcome


def test_started_again_the_demo_goes_on_and_killed_it_leaves_no_meters(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--days", "3"):
        pass
    written = (tmp_path / "demo" / "demo.json").read_text()

    with running_demo(tmp_path) as server:
        with signed_in(server.url, "operator") as browser:
            period = f"from={date.today() - timedelta(days=30)}&to={date.today()}"  # noqa: DTZ011 any zone's
            answer = browser.get(f"/profile/{METER}/consumption?{period}").json()
        assert_a_file_comes_in(server.url)
        group = processes_of_group(server.process.pid)
        meters = min(pid for pid in group if "spawn_main" in command_line(pid))  # started first
        server.process.kill()
        server.process.wait()
        ends_at = time.monotonic() + 5
        while meters in processes_of_group(server.process.pid):
            assert time.monotonic() < ends_at, f"{meters} still runs"
            time.sleep(0.05)

    assert sum(point["kWh"] is not None for point in answer["points"]) in {3, 4}
    assert (tmp_path / "demo" / "demo.json").read_text() != written


def test_a_demo_whose_filling_is_killed_says_so_in_one_line(tmp_path: Path) -> None:
    options = ("--data-dir", str(tmp_path / "demo"), "--port", str(free_port()))
    with subprocess.Popen(
        [sys.executable, "-m", "meterbook", "demo", *options],
        env={name: text for name, text in os.environ.items() if "METERBOOK_" not in name},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as started:
        filling: list[int] = []
        while not filling and started.poll() is None:
            group = processes_of_group(started.pid)
            filling = [pid for pid in group if "spawn_main" in command_line(pid)]
        os.kill(filling[0], signal.SIGKILL)
        _, told = started.communicate(timeout=60)
    assert started.returncode == 1
    assert told.splitlines()[-1] == "meterbook: the process that fills the demo has ended"
    assert "Traceback" not in told


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for command in ("demo", "serve"):
            failed = run_command(
                command, "--port", port, "--data-dir", str(tmp_path / command), folder=tmp_path
            )

            assert failed.returncode == 1
            assert failed.stderr == (
                f"meterbook: port {port} of 127.0.0.1 is taken by another program; "
                "--port chooses another\n"
            )
            assert not (tmp_path / command).exists()


def test_the_demo_refuses_a_folder_that_is_not_a_demos(tmp_path: Path) -> None:
    (tmp_path / "meterbook.sqlite").write_text("a real book")
    port = str(free_port())

    failed = run_command("demo", "--port", port, "--data-dir", str(tmp_path), folder=tmp_path)

    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["meterbook.sqlite"]


def command_line(pid: int) -> str:
    with suppress(OSError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""
