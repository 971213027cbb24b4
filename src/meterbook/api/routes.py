"""
The API's routes by who may call them: this page is the permission table.

A token is the only way in (no cookies), so these routes need no protection against forged forms.
"""

from litestar import Router
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ControllerRouterHandler

from meterbook.access import provide_visit, token_before_body
from meterbook.api import (
    audit,
    auth,
    devices,
    exports,
    host_measurements,
    host_readings,
    hosts,
    imports,
    locations,
    measurements,
    meter_models,
    meter_points,
    octopus,
    reading_edits,
    registers,
    sites,
    users,
)
from meterbook.api.strict_bodies import StrictRequest
from meterbook.registry.accounts import Role

TOKEN_SCHEME = "Token"  # noqa: S105 its name in the OpenAPI schema


def _routes_for(*roles: Role, tag: str, routes: list[ControllerRouterHandler]) -> Router:
    router = Router(
        "/",
        route_handlers=routes,
        opt={"roles": roles, "exclude_from_csrf": True},
        guards=[token_before_body],
        request_class=StrictRequest,
        dependencies={"visit": Provide(provide_visit, sync_to_thread=False)},
        security=[{TOKEN_SCHEME: []}],
        tags=[tag],
    )
    # The framework answers OPTIONS with the methods it knew when it saw a path first: see it anew.
    router.routes = [_whole(route) for route in router.routes]
    return router


def _whole(route: BaseRoute) -> HTTPRoute:
    if not isinstance(route, HTTPRoute):
        raise TypeError(route)
    own = [asked for asked in route.route_handlers if HttpMethod.OPTIONS not in asked.http_methods]
    return HTTPRoute(path=route.path, route_handlers=own)


ANYBODY = Router(
    "/",
    route_handlers=[auth.register_user, auth.log_in],
    opt={"exclude_from_csrf": True},
    request_class=StrictRequest,
    security=[{}],
    tags=["AuthAPI"],
)
ACCOUNTS = _routes_for(
    *Role,
    tag="AuthAPI",
    routes=[auth.log_out, auth.my_account, auth.change_my_password, auth.deactivate_me],
)
HOUSEHOLDS = _routes_for(
    *Role,
    tag="ManagementAPI",
    routes=[
        locations.my_locations,
        locations.add_my_location,
        locations.my_location,
        locations.change_my_location,
        locations.remove_my_location,
        hosts.my_hosts,
        meter_models.available_meters,
        meter_models.measurements_of_meter,
        host_measurements.measurements_of_my_host,
        host_measurements.assign_measurements,
        host_measurements.unassign_measurements,
        host_readings.readings_of_my_host,
        host_readings.status_of_my_host,
        host_readings.traits_of_my_host,
        host_readings.change_traits_of_my_host,
        sites.energy_of_my_location,
        sites.arrays_of_my_location,
        sites.add_array,
        sites.change_array,
        sites.remove_array,
        devices.my_keys,
        devices.make_key,
        devices.revoke_key,
        devices.my_devices,
        devices.change_my_device,
        devices.claim_input,
        devices.give_back_input,
    ],
)
OPERATORS = _routes_for(
    Role.OPERATOR,
    Role.ADMIN,
    tag="OperatorAPI",
    routes=[
        meter_points.unclaimed_meters,
        meter_points.conflicting_readings,
        reading_edits.readings_of_day,
        reading_edits.change_readings,
        devices.unclaimed_devices,
    ],
)
FILES = _routes_for(
    *Role,
    tag="FilesAPI",
    routes=[
        imports.import_file,
        imports.imported_files,
        exports.export_readings,
        octopus.consumption_pages,
    ],
)
ADMINS = _routes_for(
    Role.ADMIN,
    tag="AdminManagementAPI",
    routes=[
        locations.all_locations,
        locations.add_location,
        locations.location,
        locations.change_location,
        locations.remove_location,
        hosts.all_hosts,
        hosts.add_host,
        hosts.host,
        hosts.change_host,
        hosts.remove_host,
        host_readings.add_counter_event,
        hosts.probe_host,
        hosts.discover_host,
        meter_models.all_meters,
        meter_models.add_meter,
        meter_models.meter,
        meter_models.change_meter,
        meter_models.remove_meter,
        measurements.all_measurements,
        measurements.add_measurement,
        measurements.measurement,
        measurements.change_measurement,
        measurements.remove_measurement,
        registers.all_registers,
        registers.add_register,
        registers.register,
        registers.change_register,
        registers.remove_register,
        users.all_users,
        users.user,
        users.change_user,
        users.deactivate_user,
        meter_points.all_meter_points,
        meter_points.claim_meter,
        meter_points.change_meter_point,
        meter_points.give_key,
        meter_points.take_key,
        audit.audit_log,
        devices.give_device,
    ],
)
API_ROUTES = (ANYBODY, ACCOUNTS, HOUSEHOLDS, OPERATORS, FILES, ADMINS)
