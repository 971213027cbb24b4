"""
Writes docs/reference from the code: settings, commands, routes and metrics.

`make reference` writes the pages; tests/test_docs.py fails when they are not what it would write.
"""

from collections.abc import Iterator
from pathlib import Path

import click
from litestar import Litestar
from prometheus_client import REGISTRY

from meterbook.api.doors import DOOR_PATHS
from meterbook.api.wire_doors import WIRE_PATHS
from meterbook.app import DEPENDENCIES, ROUTES
from meterbook.cli import meterbook
from meterbook.intake import host_recorder  # noqa: F401 its metrics are on the page
from meterbook.settings import ENVIRONMENT_PREFIX, FROM_FILES, SENTENCES, SETTINGS_FILE, Settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_MADE = "<!-- written by `make reference`; change the code, not this page -->\n"


def settings_page() -> str:
    """Return the table of settings."""
    lines = [
        "# Settings",
        "",
        _MADE,
        (
            f"The environment (`{ENVIRONMENT_PREFIX}` and the name in capitals) wins over "
            f"`{SETTINGS_FILE}` in the working directory, that over the default. "
            "`meterbook settings` prints the values in force and where each came from."
        ),
        "",
        (
            "What may hold a secret may also stand in a file, as containers and systemd hand "
            "secrets over: "
            + ", ".join(f"`{ENVIRONMENT_PREFIX}{name.upper()}_FILE`" for name in sorted(FROM_FILES))
            + " name one."
        ),
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    defaults = Settings()
    lines += [
        f"| `{name}` | `{getattr(defaults, name)}` | {sentence} |"
        for name, sentence in SENTENCES.items()
    ]
    return "\n".join(lines).replace("| `` |", "| |") + "\n"


def commands_page() -> str:
    """Return every command with its help."""
    lines = ["# Commands", "", _MADE]
    lines += [
        "Exit codes: 0 done, 1 a named failure, 2 wrong usage. Errors are one line on stderr."
    ]
    for path, command in _commands(meterbook, "meterbook"):
        context = click.Context(command, info_name=path, terminal_width=90, max_content_width=90)
        lines += ["", f"## `{path}`", "", "```", command.get_help(context), "```"]
    return "\n".join(lines) + "\n"


def routes_page() -> str:
    """Return every route with its first sentence."""
    lines = ["# Routes", "", _MADE, "| method | path | does |", "|---|---|---|"]
    lines += [f"| {method} | `{path}` | {does} |" for path, method, does in sorted(_routes())]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return every metric of ours at `/metrics`."""
    lines = ["# Metrics", "", _MADE, "| metric | kind | meaning |", "|---|---|---|"]
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("meterbook_")]
    lines += [
        f"| `{metric.name}` | {metric.type} | {metric.documentation} |"
        for metric in sorted(ours, key=lambda metric: metric.name)
    ]
    return "\n".join(lines) + "\n"


PAGES = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "routes.md": routes_page,
    "metrics.md": metrics_page,
}


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _commands(found, f"{path} {name}")


def _routes() -> Iterator[tuple[str, str, str]]:
    for path, operations in (DOOR_PATHS | WIRE_PATHS).items():
        for method, operation in operations.items():
            yield path, method.upper(), operation["summary"]
    app = Litestar(ROUTES, dependencies=DEPENDENCIES, openapi_config=None)
    for route in app.routes:
        for found in getattr(route, "route_handlers", ()):
            # Litestar wraps what runs in a thread.
            does = getattr(found.fn, "func", found.fn).__doc__ or ""
            for method in sorted(found.http_methods - {"OPTIONS"}):
                yield route.path_format, str(method), does.strip().splitlines()[0]


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
