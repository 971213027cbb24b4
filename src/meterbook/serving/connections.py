"""
One HTTP connection: uvicorn's, with limits to silence, and lanes for packets and questions.

Of every request uvicorn makes a task with messages to and fro, and that costs more than storing a
packet does. A packet in the lane stays what it is, a few bytes: they go to the door as soon as
they are here, and its answer comes as a call. All other requests take uvicorn's way, and so does a
packet that is not quite regular: one that waits to be asked for its body, or whose connection has
not been answered yet. A packet that comes at once, with a head that was read before, is not even
parsed. A question is offered to its lane where uvicorn would make the task, and gets that task
after all if the lane does not answer it.

                 ┌─ POST /meter ──► packet door ──► group commit ──┐
    head, body ──┼─ GET ──────────► question lane ─────────────────┼──► answer
                 └─ all else ─────► task ─► application ───────────┘

uvicorn waits without end for heads and for readers of its answers; a look at all connections each
second ends those that stand still.
"""

from collections.abc import Callable, Sized
from functools import cache, partial
from typing import Any, Protocol

import httptools
import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from meterbook.intake.modbus.open_files import open_files_max
from meterbook.problems import Answer, problem, problem_answer
from meterbook.serving.answer_heads import AnswerHeads
from meterbook.serving.packet_heads import Head, PacketHeads
from meterbook.serving.plain_heads import plain_head

PACKET_PATH = b"/meter"
SILENT_S_MAX = 75  # longer than nginx keeps a connection to us for later, 60 s: it never meets a
# connection that is being closed
CONNECTIONS_MAX = 16_384  # of one worker; an idle one takes a few KiB
OTHER_FILES = 512  # databases, logs, hosts being polled
BODY_AHEAD_MAX = (
    1 << 20
)  # that the application has not taken yet; uvicorn's 64 KiB make a file slow
HEAD_BYTES_MAX = 65_536  # of a request's line and headers, cookies included
HEADS = PacketHeads()  # of this process
ANSWER_HEADS = AnswerHeads()


@cache
def connections_max() -> int:
    """Return how many connections a worker has at the most."""
    files = open_files_max() or CONNECTIONS_MAX + OTHER_FILES
    return max(OTHER_FILES, min(CONNECTIONS_MAX, files - OTHER_FILES))


class PacketLane(Protocol):
    """What takes packets without a task for each."""

    body_bytes_max: int
    body_s_max: float
    """How long a body may take."""

    def sender_of(self, scope: dict[str, Any], headers: dict[bytes, bytes]) -> Any:
        """
        Return who sends a packet with these headers; it holds for all that follow with them.

        :param scope: of ASGI's only `client` and `headers`.
        """

    def take(self, sender: Any, body: bytes, answer: Callable[[Answer], None]) -> None:
        """Call `answer` once, when the packet is on disk or refused."""

    def is_closing(self) -> bool:
        """Say whether connections shall end with their answer."""


class QuestionLane(Protocol):
    """What answers questions without a task for each."""

    def take(self, scope: dict[str, Any], answer: Callable[[Answer | None], None]) -> bool:
        """
        Take a request without a body, or say that it is none of these by returning False.

        Of one that is taken `answer` is called once; None leaves it to the application.
        """

    def is_closing(self) -> bool:
        """Say whether connections shall end with their answer."""


class _Request(msgspec.Struct, gc=False):
    """A packet's request; stands where uvicorn looks whether a request is being answered."""

    head: Head
    keep_alive: bool
    """As its head says; a server that ends says no to it."""
    until: float = 0.0
    body: list[bytes] = []
    disconnected: bool = False
    response_complete: bool = False

    @property
    def message_event(self) -> "_Request":
        return self

    def set(self) -> None:
        """Do nothing: nobody waits for more of a packet."""


class _Flow(FlowControl):
    """Reads no more while requests wait for their turn: each answer would let in a thousand."""

    def __init__(self, transport: Any, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One connection; made by uvicorn's server."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Prepare; bytes come later."""
        super().__init__(*arguments, **more)
        self._lane: PacketLane | None = getattr(self.app, "packet_lane", None)
        self._questions: QuestionLane | None = getattr(self.app, "question_lane", None)
        self._packet: _Request | None = None
        self._head: Head | None = None
        """Of the last packet; and who sent it."""
        self._sender: Any = None
        self._is_in_head = True
        self._is_between = True
        self._head_bytes = 0
        self._piece: bytes | None = None
        self._plain_head: bytes | None = None
        self._is_over = False  # what comes is not looked at any more
        self._silent_since = self.loop.time()
        self._unread_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if len(self.connections) > connections_max():
            transport.abort()

    def data_received(self, piece: bytes) -> None:
        """Take bytes; a head that never ends is refused."""
        if self._is_over or (self._is_between and self._take_known(piece)):
            return
        self._piece = piece if self._is_between else None
        self._head_bytes += len(piece)
        self._unset_keepalive_if_required()
        self._feed(piece)
        if self._head_bytes <= HEAD_BYTES_MAX or self._is_over:
            return
        if self._is_in_head:
            self._end_with(problem(431, f"at most {HEAD_BYTES_MAX} bytes of headers"))
        elif not self._is_between:  # trailers without end, or what is said beside a body's pieces
            self._is_over = True
            self.transport.abort()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio has it
        """Answer a packet that came whole before the client said that no more will come."""
        if self._is_between and isinstance(self.cycle, _Request) and self._is_answering():
            self.cycle.keep_alive = False
            return self.scheme == "http"  # True keeps it open; TLS cannot be half closed
        return None

    def _feed(self, piece: bytes) -> None:
        while not self.transport.is_closing():
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as met:
                head, self._plain_head = self._plain_head, None
                if head is None:  # CONNECT: what follows is no HTTP
                    self._end_after_answers()
                    return
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self._piece = None
                piece = head + piece[met.args[0] :]
                continue
            except httptools.HttpParserError:
                self._end_with(problem(400, "this is no HTTP"))
            return

    def on_header(self, name: bytes, text: bytes) -> None:
        """Take a header; what comes after the body is none."""
        if self._is_in_head:
            super().on_header(name, text)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head, self._is_between = True, False
        self._head_bytes = 0
        self._silent_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._plain_head = plain_head(
                method=self.parser.get_method(),
                url=self.url,
                version=self.parser.get_http_version(),
                headers=self.headers,
            )
            return
        self._packet = self._packet_begun()
        if self._packet is None:
            super().on_headers_complete()
        else:
            self.cycle = self._packet  # type: ignore[assignment]
        self._is_in_head = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._head_bytes = 0
        if self._packet is not None:
            self._packet.body.append(body)
        elif not self.cycle.response_complete:
            self.cycle.body += body
            if len(self.cycle.body) > BODY_AHEAD_MAX:
                self.flow.pause_reading()
            self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Hand a whole packet over."""
        if self._plain_head is not None:
            return
        self._is_between = True
        packet, lane = self._packet, self._lane
        if packet is None or lane is None:
            super().on_message_complete()
            return
        self._packet = None  # what follows is another request
        if self._piece is not None:
            HEADS.learn(packet.head, self._piece)
        self._hand_over(lane, packet, b"".join(packet.body))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Offer a request whose turn it is to the lane; what that does not take gets its task."""
        lane = self._questions
        # Who does not read is left to uvicorn, which waits for them.
        if (
            lane is None
            or self.flow.write_paused
            or not lane.take(cycle.scope, self._told(cycle, app, lane))  # type: ignore[arg-type]
        ):
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._silent_since = self.loop.time()
        super().on_response_complete()
        if not self.transport.is_closing():
            self.flow.resume_reading()  # once none waits

    def pause_writing(self) -> None:
        """Remember since when nobody reads what is sent."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Forget it."""
        self._unread_since = None
        super().resume_writing()

    def let_go_if_still(self, now: float) -> None:
        """
        End the connection if nothing has moved on it for too long.

        :param now: the event loop's time.
        """
        packet = self._packet
        if self._unread_since is not None and now - self._unread_since > SILENT_S_MAX:
            self.transport.abort()
        elif packet is not None:
            if now > packet.until:
                packet.response_complete = True
                self._refuse(problem(408, "the body came too slowly; send it again"))
        elif not self._is_answering() and now - self._silent_since > SILENT_S_MAX:
            self.transport.close()

    def _take_known(self, piece: bytes) -> bool:
        """Take a whole packet whose head was read before, and say whether it was one."""
        lane, found = self._lane, HEADS.find(piece)
        if found is None or lane is None or self._must_wait():
            return False
        head, body = found
        self._unset_keepalive_if_required()
        packet = _Request(head, head.keep_alive)
        self.cycle = packet  # type: ignore[assignment]
        self._hand_over(lane, packet, body)
        return True

    def _hand_over(self, lane: PacketLane, packet: _Request, body: bytes) -> None:
        head = packet.head
        if head is not self._head:
            scope = {"client": self.client, "headers": head.written}
            self._head, self._sender = head, lane.sender_of(scope, head.headers)
        lane.take(self._sender, body, partial(self._answer, packet))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _must_wait(self) -> bool:
        """Say whether a packet that comes now is left to uvicorn, which waits for slow readers."""
        return self._is_answering() or self.flow.write_paused

    def _packet_begun(self) -> _Request | None:
        """Return the request if it is a packet, whole, and the lane is free."""
        lane = self._lane
        if lane is None or self.url != PACKET_PATH or self.parser.get_method() != b"POST":
            return None
        if self._must_wait() or self.expect_100_continue:
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > lane.body_bytes_max or b"upgrade" in headers:
            return None
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        head = Head(headers, self.headers, int(length), keep_alive)
        return _Request(head, head.keep_alive, until=self.loop.time() + lane.body_s_max)

    def _answer(self, packet: _Request, written: Answer) -> None:
        packet.response_complete = True
        if self.transport.is_closing():
            return
        closes = not packet.keep_alive or (self._lane is not None and self._lane.is_closing())
        self._write(written, closes=closes)
        self._silent_since = self.loop.time()
        if closes:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()

    def _told(
        self, cycle: RequestResponseCycle, app: Any, lane: QuestionLane
    ) -> Callable[[Answer | None], None]:
        in_a_task = super()._start_asgi_task

        def answer(written: Answer | None) -> None:
            if cycle.disconnected or self.transport.is_closing():
                return
            if written is None:
                in_a_task(cycle, app)
                return
            closes = not cycle.keep_alive or lane.is_closing()
            self._write(written, closes=closes)
            cycle.response_complete = True
            if closes:
                self.transport.close()
            cycle.on_response()

        return answer

    def _end_with(self, document: Any) -> None:
        """Refuse what comes, after the answers to what came before."""
        is_answering = self._is_answering()
        if is_answering and (self._is_in_head or self._is_between):
            self._end_after_answers()
        elif self.pipeline or (is_answering and getattr(self.cycle, "response_started", False)):
            self._is_over = True
            self.transport.abort()  # no answer is better than one in the place of another
        else:
            self._is_over = True
            self._refuse(document)

    def _end_after_answers(self) -> None:
        self._is_over = True
        if self._is_answering():
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, document: Any) -> None:
        if not self.transport.is_closing():
            self._write(problem_answer(document), closes=True)
            self.transport.close()

    def _write(self, written: Answer, *, closes: bool) -> None:
        always = self.server_state.default_headers
        head = ANSWER_HEADS.before_length(always, written.status, written.headers, closes)
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(written.body), written.body))
