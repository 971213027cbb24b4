"""
A household that comes to Meterbook: account, meter, address and FIN, all of them or none.

The FIN and the name are encrypted; a meter that is somebody's already is refused in words that do
not tell whose.
"""

import msgspec
import sqlalchemy as sa

from meterbook.domain.fin import FinError, check_fin
from meterbook.registry import audit
from meterbook.registry.accounts import Account, Role, add_account, require_free
from meterbook.registry.attempts import count_attempts, subject_of
from meterbook.registry.locations import add_location
from meterbook.registry.meter_points import MeterPoint, claim_meter
from meterbook.registry.passwords import password_hash
from meterbook.registry.personal_data import PersonalData, set_customer
from meterbook.registry.refusals import WrongFieldError
from meterbook.registry.sign_in import AttemptLimits
from meterbook.registry.tokens import issue_token
from meterbook.storage.database import Database
from meterbook.storage.tables import meter_points

_CLAIMS_A_MINUTE = 10  # a landlord with a list; too slow to try out which numbers are taken


class NewCustomer(msgspec.Struct, frozen=True):
    """What somebody writes who registers."""

    username: str
    email: str
    password: str
    fin: str
    meter_id: int
    street: str
    number: str
    city: str
    zip_code: str
    region: str | None


def register_customer(
    database: Database,
    personal: PersonalData,
    *,
    customer: NewCustomer,
    address: str,
    limits: AttemptLimits,
    session_s: int,
    default_zone: str,
    now: int,
) -> tuple[Account, str]:
    """
    Make the account with its meter and return it with a session.

    :param address: where the request comes from.
    :raises WrongFieldError: if the FIN or the name is none, or the meter is claimed already.
    :raises AccountTakenError: if the name or the e-mail address is taken.
    :raises WeakPasswordError: if the password may not be chosen.
    :raises TooManyAttemptsError: if too many accounts came from that address in this minute.
    """
    with database.writing() as connection:
        subjects = {subject_of("registration", address): limits.registrations}
        count_attempts(connection, limits=subjects, now=now)
    try:
        fin = check_fin(customer.fin)
    except FinError as error:
        raise WrongFieldError("fin", str(error)) from None
    with database.reading() as connection:
        require_free(connection, username=customer.username, email=customer.email)
    stored = password_hash(customer.password)
    with database.writing() as connection:
        account = _add(
            connection,
            personal,
            customer=customer,
            stored_password=stored,
            fin=fin,
            default_zone=default_zone,
            now=now,
        )
        secret = issue_token(
            connection, account_id=account.id, purpose="session", now=now, valid_s=session_s
        )
    return account, secret


def claim_another(
    database: Database,
    *,
    account: Account,
    meter_id: int,
    name: str | None,
    default_zone: str,
    now: int,
) -> MeterPoint:
    """
    Give one more meter to an account and return its meter point.

    :raises WrongFieldError: if it is claimed already.
    :raises TooManyAttemptsError: if the account has claimed too many in this minute.
    """
    with database.writing() as connection:
        subjects = {subject_of("claim", str(account.id)): _CLAIMS_A_MINUTE}
        count_attempts(connection, limits=subjects, now=now)
    fields = {"user": account.id} | ({"name": name} if name else {})
    with database.writing() as connection:
        return claim_meter(
            connection,
            meter_id=meter_id,
            fields=fields,
            default_zone=default_zone,
            by=account.id,
            now=now,
        )


def known_regions(connection: sa.Connection) -> list[str]:
    """Return the regions that meter points lie in, by name."""
    # One look-up a region, whatever the number of meter points: the engine jumps along the index.
    regions = meter_points.c.region
    first = sa.select(sa.func.min(regions).label("region")).cte("found", recursive=True)
    following = sa.select(sa.func.min(regions)).where(regions > first.c.region).scalar_subquery()
    found = first.union_all(sa.select(following).where(first.c.region.is_not(None)))
    wanted = sa.select(found.c.region).where(found.c.region.is_not(None))
    return list(connection.scalars(wanted.order_by(found.c.region)))


def _add(
    connection: sa.Connection,
    personal: PersonalData,
    *,
    customer: NewCustomer,
    stored_password: str,
    fin: str,
    default_zone: str,
    now: int,
) -> Account:
    account = add_account(
        connection,
        username=customer.username,
        email=customer.email,
        password_hash=stored_password,
        role=Role.HOUSEHOLD,
        now=now,
    )
    point = _claim(
        connection, account=account, customer=customer, default_zone=default_zone, now=now
    )
    set_customer(
        connection, personal, meter_point_id=point.id, name=customer.username, fin=fin, now=now
    )
    audit.record(
        connection,
        by=account.id,
        action="register",
        subject=f"users/{account.id}",
        after=account,
        now=now,
    )
    return account


def _claim(
    connection: sa.Connection,
    *,
    account: Account,
    customer: NewCustomer,
    default_zone: str,
    now: int,
) -> MeterPoint:
    point = claim_meter(
        connection,
        meter_id=customer.meter_id,
        fields={"user": account.id},
        default_zone=default_zone,
        by=account.id,
        now=now,
        region_if_none=customer.region,
    )
    add_location(
        connection,
        fields={
            "user": account.id,
            "street": customer.street,
            "number": customer.number,
            "city": customer.city,
            "zip_code": customer.zip_code,
        },
        by=account.id,
        now=now,
    )
    return point
