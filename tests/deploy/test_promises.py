"""What `deploy/` says agrees with the program: settings, options, limits, times, versions."""

import re
from importlib.metadata import requires

import click
import pytest
import yaml
from packaging.requirements import Requirement

from deploy.written import (
    COMPOSE,
    DEPLOY,
    DOCKERFILE,
    ROOT,
    UNITS,
    documents,
    meterbooks,
    pods,
    seconds,
    unit,
)
from meterbook import __version__
from meterbook.cli import meterbook
from meterbook.cli.serve import END_S_MAX
from meterbook.settings import FROM_FILES, SENTENCES, Settings

WRITTEN = sorted(
    file for file in DEPLOY.rglob("*") if file.is_file() and "__pycache__" not in file.parts
)
SPARE_S = 5  # beyond draining: recovery files are written, connections closed


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.relative_to(DEPLOY).as_posix())
def test_settings_named_in_a_file_exist(file: object) -> None:
    known = {*SENTENCES, *(f"{name}_file" for name in FROM_FILES)}
    # METERBOOK_PORT is the one Kubernetes would make: it is named to say so.
    named = re.findall(r"METERBOOK_([A-Z_]+[A-Z])", file.read_text("utf-8"))  # type: ignore[attr-defined]
    assert {name.lower() for name in named} - {"port", "site"} <= known


def commands() -> list[list[str]]:
    """Return every command line of Meterbook in `deploy/`, without the program's name."""
    lines = [one["command"] for one in meterbooks().values() if one["command"]]
    lines += [one["containers"][0]["args"] for _, one in pods()]
    [of_image] = re.findall(r"^CMD (\[.*\])$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    lines.append(yaml.safe_load(of_image))
    starts = [unit(file)["ExecStart"][0].replace("%i", "web").split() for file in UNITS]
    return lines + [line[1:] for line in starts if line[0].endswith("/meterbook")]


@pytest.mark.parametrize("line", commands(), ids=" ".join)
def test_a_command_line_is_one_the_program_takes(line: list[str]) -> None:
    words = [word for word in line if not word.startswith("$")]
    root = click.Context(meterbook)
    command = meterbook.get_command(root, words[0])
    assert command is not None
    command.make_context(words[0], words[1:], parent=root)


def test_whoever_stops_a_server_lets_it_finish() -> None:
    for service in meterbooks().values():
        assert seconds(service["stop_grace_period"]) >= END_S_MAX + SPARE_S
    for file in UNITS:
        if "notify" in unit(file)["Type"]:
            assert seconds(unit(file)["TimeoutStopSec"][0]) >= END_S_MAX + SPARE_S
    for name, pod in pods():
        if pod["containers"][0]["args"][0] == "serve":
            given = {one["name"]: one["value"] for one in pod["containers"][0].get("env", ())}
            drains = int(given.get("METERBOOK_DRAIN_SECONDS", 0))
            assert pod["terminationGracePeriodSeconds"] >= drains + END_S_MAX + SPARE_S, name


def test_no_container_has_more_rights_than_it_needs() -> None:
    for service in meterbooks().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        of_container = pod["containers"][0]["securityContext"]
        assert of_container["readOnlyRootFilesystem"]
        assert of_container["allowPrivilegeEscalation"] is False
        assert of_container["capabilities"] == {"drop": ["ALL"]}
    # By number, else Kubernetes cannot tell that it is not root.
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)


def test_no_variable_of_a_kubernetes_service_looks_like_a_setting() -> None:
    # A service named meterbook in the namespace would set METERBOOK_PORT, and no pod would start.
    assert all(pod["enableServiceLinks"] is False for _, pod in pods())


def test_selectors_find_their_pods() -> None:
    labels = [
        document["spec"]["template"]["metadata"]["labels"]
        for document in documents()
        if document["kind"] == "Deployment"
    ]
    for document in documents():
        wanted = document.get("spec", {}).get(
            "selector", document.get("spec", {}).get("podSelector")
        )
        if wanted:
            wanted = wanted.get("matchLabels", wanted)
            assert any(wanted.items() <= one.items() for one in labels), document["metadata"]


def test_proxies_let_in_what_meterbook_lets_in() -> None:
    mebibytes = Settings().upload_bytes_max // (1 << 20)
    nginx = (DEPLOY / "proxy" / "nginx.conf").read_text("utf-8")
    assert f"client_max_body_size {mebibytes}m;" in nginx
    assert f"max_size {mebibytes}MiB" in (DEPLOY / "proxy" / "Caddyfile").read_text("utf-8")
    ingress = (DEPLOY / "kubernetes" / "overlays" / "example" / "ingress.yaml").read_text("utf-8")
    assert f"proxy-body-size: {mebibytes}m" in ingress


def test_devices_may_write_wherever_meterbook_listens() -> None:
    allowed = (DEPLOY / "compose" / "mosquitto" / "acl").read_text("utf-8")
    of_devices = allowed.split("user devices")[1].split("user ")[0]
    patterns = [
        re.compile(re.escape(topic).replace(r"\+", "[^/]+").replace(r"\#", ".*").replace("#", ".*"))
        for topic in re.findall(r"^topic write (\S+)$", of_devices, re.MULTILINE)
    ]
    for topic in [*Settings().mqtt_topics.split(", "), f"{Settings().mqtt_prefix}/packets"]:
        example = topic.replace("+", "plug").replace("#", "a/b")
        assert any(pattern.fullmatch(example) for pattern in patterns), topic


def test_the_version_is_the_same_everywhere() -> None:
    assert f'image.version="{__version__}"' in DOCKERFILE.read_text("utf-8")
    assert f"image: meterbook:{__version__}\n" in COMPOSE.read_text("utf-8")
    overlay = DEPLOY / "kubernetes" / "overlays" / "example" / "kustomization.yaml"
    assert yaml.safe_load(overlay.read_text("utf-8"))["images"][0]["newTag"] == __version__


def test_the_image_is_built_with_the_whole_build_backend() -> None:
    [names] = re.findall(r"/\^\(([a-z|-]+)\)==/", DOCKERFILE.read_text("utf-8"))
    taken, asked = set(names.split("|")), {"hatchling"}
    while asked:
        name = asked.pop()
        assert name in taken
        needed = [Requirement(line) for line in requires(name) or []]
        asked |= {one.name for one in needed if one.marker is None or one.marker.evaluate()}
    pinned = (ROOT / "requirements" / "dev.txt").read_text("utf-8")
    assert all(f"\n{name}==" in pinned for name in taken)
