"""`meterbook account`: accounts by hand; the only way to make the first admin."""

import sys
import time

import click

from meterbook.cli.opened import opened_database, settings_with
from meterbook.registry import audit
from meterbook.registry.accounts import Role, add_account
from meterbook.registry.passwords import WeakPasswordError, password_hash


@click.group()
def account() -> None:
    """Accounts."""


@account.command("create")
@click.argument("name")
@click.option("--email", required=True)
@click.option(
    "--role", default="household", show_default=True, type=click.Choice([r.value for r in Role])
)
def create(name: str, email: str, role: str) -> None:
    """Make an account; asks for its password, or reads it from a pipe."""
    if "@" not in email.strip("@") or " " in email:
        raise click.BadParameter("is no e-mail address", param_hint="--email")
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        stored = password_hash(password)
    except WeakPasswordError as error:
        raise click.ClickException(f"the password {error}") from None
    now = int(time.time())
    with opened_database(settings_with()) as database, database.writing() as connection:
        made = add_account(
            connection,
            username=name,
            email=email,
            password_hash=stored,
            role=Role(role),
            now=now,
        )
        audit.record(
            connection, by=None, action="add", subject=f"users/{made.id}", after=made, now=now
        )
    click.echo(f"account {made.username} made, role {made.role.value}, id {made.id}")
