"""What stands in `deploy/`, read once: compose services, manifests, units."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted(
    file for file in (DEPLOY / "kubernetes").rglob("*.yaml") if file.name != "kustomization.yaml"
)
YAML_FILES = [COMPOSE, *sorted((DEPLOY / "kubernetes").rglob("*.yaml"))]
SCRIPTS = sorted(
    file
    for file in DEPLOY.rglob("*")
    if file.is_file() and file.read_bytes().startswith(b"#!/bin/sh")
)


def services() -> dict[str, dict[str, Any]]:
    """Return the compose file's services."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return found


def meterbooks() -> dict[str, dict[str, Any]]:
    """Return those that run Meterbook's image."""
    return {name: one for name, one in services().items() if one["image"].startswith("meterbook:")}


def documents() -> list[dict[str, Any]]:
    """Return every Kubernetes object."""
    return [
        document for file in MANIFESTS for document in yaml.safe_load_all(file.read_text("utf-8"))
    ]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the pod's specification of each workload."""
    for document in documents():
        inner = document.get("spec", {})
        inner = inner.get("jobTemplate", {}).get("spec", inner)
        if "template" in inner:
            yield document["metadata"]["name"], inner["template"]["spec"]


def unit(file: Path) -> dict[str, list[str]]:
    """Return a unit's keys with all they were given, in order."""
    found: dict[str, list[str]] = {}
    for key, text in re.findall(r"^(\w+)=(.*)$", file.read_text("utf-8"), re.MULTILINE):
        found.setdefault(key, []).append(text)
    return found


def seconds(written: str) -> int:
    """Return a time as units and compose files write it: 30s, 30min, 6h, 60."""
    number, unit_of_time = re.fullmatch(r"(\d+)(s|min|h|)", written).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "s": 1, "min": 60, "h": 3600}[unit_of_time]
