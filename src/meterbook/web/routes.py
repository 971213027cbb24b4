"""
Every page, on one router.

On a router because Litestar wraps a blocking handler twice when another one of the same path is
registered after it; within a router it registers all at once.
"""

from litestar import Router

from meterbook.web import (
    account,
    assets,
    consumption,
    dashboard,
    dashboard_region,
    hosts,
    imports,
    live,
    meter,
    preferences,
    profile,
    readings,
    register,
    sign_in,
    sites,
)
from meterbook.web.devices import pages as devices
from meterbook.web.manage import pages as manage

PAGES = Router(
    path="/",
    route_handlers=[
        profile.landing_page,
        register.register_page,
        register.register,
        sign_in.sign_in_page,
        sign_in.sign_in,
        sign_in.sign_out,
        preferences.set_preferences,
        profile.profile_page,
        profile.claim_one_more,
        meter.meter_page,
        meter.name_meter,
        readings.readings_page,
        readings.edit_by_form,
        consumption.consumption_page,
        consumption.consumption_figures,
        consumption.region_of_meter,
        dashboard.dashboard_page,
        dashboard_region.region_page,
        dashboard_region.silent_page,
        dashboard_region.unclaimed_page,
        dashboard_region.conflicts_page,
        imports.imports_page,
        imports.import_by_form,
        imports.my_readings,
        sites.sites_page,
        sites.site_page,
        hosts.host_page,
        live.meter_stream,
        live.site_stream,
        live.host_stream,
        live.regions_stream,
        devices.ROUTES,
        manage.ROUTES,
        account.ROUTES,
        assets.asset_file,
    ],
)
