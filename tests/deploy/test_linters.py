"""What others check of `deploy/`: linters and schemas; nothing of it is run here."""

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec.models import ComposeSpecification

from deploy.written import COMPOSE, DEPLOY, DOCKERFILE, MANIFESTS, ROOT, SCRIPTS, YAML_FILES

BIN = Path(sys.executable).parent
KUBERNETES = "1.31"  # the oldest that is still looked after
YAML_RULES = (
    "{extends: default, rules: {line-length: {max: 110}, document-start: disable, "
    "truthy: {check-keys: false}}}"
)


def passes(*command: str | Path) -> None:
    """Run a linter and show what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_yaml_is_tidy() -> None:
    passes(BIN / "yamllint", "--strict", "-d", YAML_RULES, *YAML_FILES)


def test_the_dockerfile_is_what_hadolint_asks_for() -> None:
    passes(BIN / "hadolint", DOCKERFILE)


def test_scripts_are_what_shellcheck_asks_for() -> None:
    assert len(SCRIPTS) >= 2
    passes(BIN / "shellcheck", *SCRIPTS)


def test_the_compose_file_keeps_to_the_schema() -> None:
    written = yaml.safe_load(COMPOSE.read_text("utf-8"))
    ComposeSpecification.model_validate(written)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.relative_to(DEPLOY).as_posix())
def test_a_manifest_keeps_to_the_schema(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text("utf-8")):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_every_manifest_is_named_by_a_kustomization() -> None:
    for listing in (DEPLOY / "kubernetes").rglob("kustomization.yaml"):
        named = yaml.safe_load(listing.read_text("utf-8"))["resources"]
        there = {file.name for file in listing.parent.glob("*.yaml")} - {listing.name}
        assert {name for name in named if name.endswith(".yaml")} == there
        assert all((listing.parent / name).exists() for name in named)
