"""
The composition root: database, doors, routes and jobs become one ASGI application.

Packets do not pay for the framework: `/meter`, `/readings` and the doors of other people's devices
are looked at before Litestar; packets and the question that programs ask most have lanes past it.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from decimal import Decimal
from functools import partial
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from litestar.types import ControllerRouterHandler

from meterbook import __version__, access
from meterbook.api import health
from meterbook.api.errors import respond_with_problem
from meterbook.api.imports import PATH as API_PATH
from meterbook.api.influxql import EnergyQueries
from meterbook.api.openapi import (
    SCHEMA_PATH,
    SWAGGER_UI_FOLDER,
    SWAGGER_UI_PATH,
    SchemaDocs,
    SchemaDocument,
)
from meterbook.api.routes import API_ROUTES, TOKEN_SCHEME
from meterbook.api.worker_metrics import WorkerMetrics
from meterbook.collecting import Collecting
from meterbook.domain.local_days import time_zone
from meterbook.domain.networks import networks
from meterbook.imports import Importer
from meterbook.inputs.deliveries import Delivery, Outcome
from meterbook.intake.bodies import PatientReceive
from meterbook.intake.by_node import RecorderByNode
from meterbook.intake.group_commit import GroupCommit
from meterbook.intake.packet_fields import PacketLimits
from meterbook.intake.packets import PacketDoor
from meterbook.intake.readings import ReadingsDoor
from meterbook.intake.recorder import Answer, Arrival, PacketRecorder
from meterbook.intake.senders import Senders
from meterbook.intake.wire.places import WireDoors
from meterbook.intake.wire.pool_recorder import PoolRecorder
from meterbook.jobs.scheduler import Scheduler
from meterbook.listening import Listening
from meterbook.logs import configure_logs
from meterbook.registry.personal_data import personal_data
from meterbook.registry.sign_in import AttemptLimits
from meterbook.settings import Settings, load_settings, region_map_of
from meterbook.stopping import Stopping, asking_for_a_new_connection, stop_with_parent
from meterbook.storage.database import Database
from meterbook.supervision import supervised
from meterbook.web.consumption_door import ConsumptionDoor
from meterbook.web.envelope import in_envelope, own_cookies
from meterbook.web.form_tokens import form_tokens
from meterbook.web.imports import PATH as PAGE_PATH
from meterbook.web.live_streams import LiveStreams
from meterbook.web.problem_page import as_page
from meterbook.web.routes import PAGES
from meterbook.web.templating import template_engine

_FORM_BYTES_MAX = 10_000_000  # of the framework's other routes
_AROUND_BYTES = 1 << 20  # of a file: what else its form holds
ASGIApplication = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
ROUTES: list[ControllerRouterHandler] = [
    health.live,
    health.ready,
    health.metrics,
    PAGES,
    *API_ROUTES,
]
DEPENDENCIES = {
    "now": Provide(access.provide_now, sync_to_thread=False),
    "caller": Provide(access.provide_caller, sync_to_thread=True),
}
OPENAPI = OpenAPIConfig(
    title="Meterbook",
    version=__version__,
    path=SCHEMA_PATH,
    render_plugins=[SchemaDocument(), SchemaDocs()],
    security=[{TOKEN_SCHEME: []}],
)


class _Meterbook:
    """What one server process holds, opened and closed with it."""

    def __init__(self, settings: Settings) -> None:
        zone = time_zone(settings.timezone)
        self.settings = settings
        self.stopping = Stopping(drain_s=settings.drain_seconds)
        self.worker_metrics = WorkerMetrics()
        self.database = Database(settings.database_url)
        self.personal = personal_data(data_dir=settings.data_dir, secret_key=settings.secret_key)
        self.recorder = PacketRecorder(self.database, default_zone=settings.timezone)
        self.commits: GroupCommit[Arrival, Answer] = GroupCommit(
            RecorderByNode(self.recorder, self.database).record,
            queue_max=settings.queue_readings_max,
        )
        self.collecting = Collecting(self.database, period_s=settings.poll_seconds)
        self.live = _live_streams(self.database, settings)
        senders = _senders(settings)
        limits = PacketLimits(Decimal(str(settings.reading_kwh_max)))
        self.packets = PacketDoor(
            self.commits, senders=senders, limits=limits, is_closing=self.stopping.is_begun
        )
        self.doors = self._reading_doors(senders, limits)
        pool = PoolRecorder(self.database, devices_max=settings.devices_max)
        self.deliveries: GroupCommit[Delivery, Outcome] = GroupCommit(
            pool.record, queue_max=settings.queue_readings_max
        )
        self.wire = WireDoors(
            self.deliveries,
            senders=senders,
            database=self.database,
            personal=self.personal,
            zone=zone,
            energy=EnergyQueries(self.database),
        )
        self.questions = ConsumptionDoor(
            self.database, clock=access.provide_now, is_closing=self.stopping.is_begun
        )
        self.listening = Listening(
            self.database,
            mqtt=settings.mqtt,
            publish_every_s=settings.mqtt_publish_seconds,
            deliveries=self.deliveries,
            packets=self.commits,
            limits=limits,
            default_zone=zone,
        )

    def _reading_doors(self, senders: Senders, limits: PacketLimits) -> dict[str, ASGIApplication]:
        return {
            "/meter": self.packets,
            "/readings": ReadingsDoor(
                self.recorder,
                senders=senders,
                limits=limits,
                upload_bytes_max=self.settings.upload_bytes_max,
            ),
        }

    @asynccontextmanager
    async def running(self, _app: Litestar) -> AsyncIterator[None]:
        self.database.require_durable()
        scheduler = Scheduler(
            self.database,
            data_dir=self.settings.data_dir,
            close_delay_s=self.settings.close_delay_minutes * 60,
            recovery_days_kept=self.settings.recovery_days_kept,
            input_days_kept=self.settings.input_days_kept,
            silent_intervals=self.settings.silent_intervals,
        )
        with (
            self.worker_metrics.running(),
            scheduler if self.settings.role in {"all", "jobs"} else nullcontext(),
        ):
            # What start-up made stays for good: walking it again and again for garbage stopped
            # every request for 30 ms now and then.
            gc.collect()
            gc.freeze()
            is_collector = self.settings.role in {"all", "collect"}
            stop_with_parent()
            async with (
                self.collecting.running(is_on=is_collector),
                self.listening.running(is_on=is_collector),
                supervised(),
            ):
                self.stopping.listen(
                    self.live.close,
                    self.collecting.hand_over,
                    self.listening.hand_over,
                    scheduler.hand_over,
                )
                yield
            self.live.close()
            await self.questions.close()
            await self.commits.close()
            await self.deliveries.close()
        self.database.close()


def _senders(settings: Settings) -> Senders:
    return Senders(networks(settings.trusted_networks), proxies=networks(settings.trusted_proxies))


def _live_streams(database: Database, settings: Settings) -> LiveStreams:
    return LiveStreams(
        database,
        per_account_max=settings.live_streams_per_account,
        session_idle_s=settings.session_idle_minutes * 60,
        clock=access.provide_now,
    )


def create_app(settings: Settings | None = None) -> ASGIApplication:
    """
    Return the whole server as one ASGI application.

    :raises SettingsError: if a setting is wrong.
    :raises DatabaseUrlError: if the database URL is.
    """
    settings = settings or load_settings()
    configure_logs(settings.log_level)
    return _Application(_Meterbook(settings))


class _Application:
    """Sends each request to its door, or to the framework."""

    def __init__(self, running: _Meterbook) -> None:
        self._running = running
        self.packet_lane = running.packets
        """Takes packets without a task for each: serving/connections.py."""
        self.question_lane = running.questions
        """Answers questions without a task for each, as its route would."""
        self._litestar = in_envelope(
            _litestar(running),  # type: ignore[arg-type]
            came_by_tls=partial(
                access.came_by_tls, proxies=networks(running.settings.trusted_proxies)
            ),
        )

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        running = self._running
        if scope["type"] != "http":
            await self._litestar(scope, receive, send)
            return
        path = scope["path"]
        if running.stopping.has_begun:
            send = asking_for_a_new_connection(scope, send)
        door = running.doors.get(path) or running.wire.door(path)
        if door is not None:
            await door(scope, receive, send)
        else:
            patient = PatientReceive(
                receive,
                too_slow=_too_slow,
                bytes_max=await self._body_bytes_max(scope),
                too_large=_too_large,
            )
            await self._litestar(scope, patient, send)

    async def _body_bytes_max(self, scope: dict[str, Any]) -> int:
        """Return what a body may have before anybody has looked at who sends it."""
        settings = self._running.settings
        large = max(settings.upload_bytes_max, _FORM_BYTES_MAX) + _AROUND_BYTES
        # `/imports` looks at the token first. A page's form is gathered before its route can,
        # fields in memory.
        path = scope["path"].rstrip("/")
        if path == API_PATH:
            return large
        if path == PAGE_PATH and scope["method"] == "POST":
            is_signed_in = await asyncio.to_thread(
                access.has_session,
                own_cookies(scope["headers"]),
                database=self._running.database,
                now=access.provide_now(),
                idle_s=settings.session_idle_minutes * 60,
            )
            if is_signed_in:
                return large
        return _FORM_BYTES_MAX + _AROUND_BYTES


def _too_slow() -> HTTPException:
    return HTTPException(status_code=408, detail="the body came too slowly; send it again")


def _too_large() -> HTTPException:
    return HTTPException(status_code=413, detail="the body is larger than any that is taken")


def _respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return as_page(request, respond_with_problem(request, error))


def _litestar(running: _Meterbook) -> Litestar:
    settings = running.settings
    app = Litestar(
        route_handlers=[
            *ROUTES,
            create_static_files_router(SWAGGER_UI_PATH, [SWAGGER_UI_FOLDER], name="swagger-ui"),
        ],
        dependencies=DEPENDENCIES,
        exception_handlers={Exception: _respond},
        middleware=[form_tokens(secret=running.personal.derived_secret("csrf"))],
        template_config=TemplateConfig(instance=template_engine()),
        openapi_config=OPENAPI,
        lifespan=[running.running],
        logging_config=None,
        compression_config=None,
    )
    app.state.live = running.live
    app.state.worker_metrics = running.worker_metrics
    app.state.book = access.Book(
        database=running.database,
        personal=running.personal,
        default_zone=settings.timezone,
        token_valid_s=settings.token_days * 86_400 or None,
        session_idle_s=settings.session_idle_minutes * 60,
        session_s_max=settings.session_days * 86_400,
        attempt_limits=AttemptLimits(
            wrong_sign_ins=settings.wrong_sign_ins_per_minute,
            registrations=settings.registrations_per_minute,
        ),
        trusted_proxies=networks(settings.trusted_proxies),
        probe=running.collecting.collector.probe,
        discover=running.collecting.collector.discover,
        import_file=Importer(
            running.database,
            default_zone=settings.timezone,
            reading_kwh_max=Decimal(str(settings.reading_kwh_max)),
            personal=running.personal,
        ),
        upload_bytes_max=settings.upload_bytes_max,
        region_group_min=settings.region_group_min,
        region_map=region_map_of(settings),
        broker=running.listening.broker_address,
        is_stopping=running.stopping.is_begun,
    )
    return app
