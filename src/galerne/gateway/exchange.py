"""One request between a client and a replica: its phases, its deadline, and its single usage record.

`Exchange` holds what is known of a request; `Keeper` looks after all of them at every tick: it notices
clients that hung up and phases that took too long, so that nothing is paid for that per request.
"""

import asyncio
from datetime import datetime
from enum import Enum, auto

from galerne.gateway.asgi import Receive
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import KeyPolicy, ReplicaAddress, ServedModel
from galerne.gateway.upstream.connection import UpstreamConnection
from galerne.gateway.upstream.errors import ClientGoneError, UpstreamError, UpstreamTimeoutError


class Phase(Enum):
    """What an exchange waits for."""

    CLIENT_BODY = auto()
    FIRST_BYTE = auto()
    STREAM = auto()
    CLIENT_READS = auto()


class Exchange:
    """The state of one request; made when it arrives, kept until it ends."""

    __slots__ = (
        "client_gone",
        "completion_tokens",
        "connection",
        "endpoint",
        "error_code",
        "first_part_at",
        "interrupted",
        "model",
        "on_replica",
        "outcome",
        "phase",
        "policy",
        "prompt_tokens",
        "reached",
        "recorded",
        "replica",
        "request_id",
        "served",
        "sharing",
        "since",
        "started_at",
        "started_monotonic",
        "status",
        "streamed",
        "task",
        "watcher",
    )

    def __init__(
        self,
        request_id: str,
        endpoint: str,
        *,
        started_at: datetime,
        monotonic: float,
        since: float,
    ) -> None:
        self.request_id = request_id
        self.endpoint = endpoint
        self.started_at = started_at
        self.started_monotonic = monotonic
        self.since = since  # When the phase began, on the keeper's coarse clock.
        self.phase = Phase.CLIENT_BODY
        self.task = asyncio.current_task()
        self.watcher: asyncio.Task[None] | None = None
        self.connection: UpstreamConnection | None = None
        self.client_gone = False
        self.interrupted = False  # The keeper cancelled the task because the client was too slow.
        self.policy: KeyPolicy | None = None
        self.served: ServedModel | None = None
        self.replica: ReplicaAddress | None = None
        self.on_replica = False  # Counted as outstanding there.
        self.reached = False  # A replica was sent the request, so there is a record to write.
        self.model = ""
        self.sharing = 1  # Requests on the replica when this one started, itself included.
        self.streamed = False
        self.first_part_at: float | None = None
        self.recorded = False
        self.status = 0
        self.outcome = ""
        self.error_code = ""
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def fail(self, error: UpstreamError) -> None:
        """Withdraw the request from the replica, by closing the connection."""
        if self.connection is not None:
            self.connection.fail(error)

    def interrupt(self) -> None:
        """Wake the task out of a wait on the client."""
        if self.task is not None:
            self.interrupted = True
            self.task.cancel()


class Keeper:
    """Looks after the exchanges in flight."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.draining = False
        self.now = 0.0  # The loop's time at the last tick.
        self._settings = settings
        self._exchanges: dict[Exchange, Receive] = {}
        self._seconds_max = {
            Phase.CLIENT_BODY: settings.client_seconds_max,
            Phase.FIRST_BYTE: settings.first_byte_seconds_max,
            Phase.STREAM: settings.idle_seconds_max,
            Phase.CLIENT_READS: settings.client_seconds_max,
        }

    def __len__(self) -> int:
        return len(self._exchanges)

    def enter(self, exchange: Exchange, receive: Receive) -> None:
        self._exchanges[exchange] = receive

    def leave(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange, None)
        if exchange.watcher is not None:
            exchange.watcher.cancel()

    def set_phase(self, exchange: Exchange, phase: Phase) -> None:
        exchange.phase = phase
        exchange.since = self.now

    def tick(self) -> None:
        """Look at every exchange once."""
        self.now = asyncio.get_running_loop().time()
        for exchange, receive in tuple(self._exchanges.items()):
            if exchange.watcher is None and exchange.phase is not Phase.CLIENT_BODY:
                exchange.watcher = asyncio.create_task(_watch(exchange, receive))
            if self.now - exchange.since > self._seconds_max[exchange.phase]:
                exchange.since = self.now
                self._expire(exchange)

    def _expire(self, exchange: Exchange) -> None:
        if exchange.phase in {Phase.CLIENT_BODY, Phase.CLIENT_READS}:
            exchange.interrupt()
        else:
            exchange.fail(UpstreamTimeoutError("it said nothing for too long"))


async def _watch(exchange: Exchange, receive: Receive) -> None:
    """Wait for the client to hang up, then withdraw its request."""
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.client_gone = True
    exchange.fail(ClientGoneError("the client hung up"))
