"""Takes a request to a replica: chooses, connects, sends, and tries another while nothing has come back."""

from galerne.gateway import errors
from galerne.gateway.dialects.requests import InferenceRequest
from galerne.gateway.exchange import Exchange
from galerne.gateway.metrics import GatewayMetrics
from galerne.gateway.routing import Router
from galerne.gateway.snapshot import ReplicaAddress
from galerne.gateway.upstream.connection import UpstreamConnection
from galerne.gateway.upstream.errors import (
    ClientGoneError,
    UpstreamClosedError,
    UpstreamError,
    UpstreamUnreachableError,
)
from galerne.gateway.upstream.pool import UpstreamPool

STATUS_NOT_READY = 503  # What serving programs answer while they load.


class Forwarder:
    """Opens exchanges with replicas and closes them again."""

    def __init__(self, pool: UpstreamPool, router: Router, metrics: GatewayMetrics) -> None:
        self._pool = pool
        self._router = router
        self._metrics = metrics

    async def open(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        candidates: tuple[ReplicaAddress, ...],
        path: str,
    ) -> UpstreamConnection:
        """Return a connection on which an answer has begun.

        Raises ApiError when no replica could be reached, UpstreamError when one failed past retrying.
        The caller calls `close` in any case.
        """
        tried: set[str] = set()
        while True:
            replica = self._router.choose(candidates, tried)
            if replica is None:
                raise errors.no_replica_ready(request.model)
            self._enter(exchange, replica)
            tried.add(replica.replica_id)
            try:
                connection = await self._send(exchange, request, replica, path)
                if connection.status != STATUS_NOT_READY:
                    return connection
            except UpstreamUnreachableError:
                pass
            except UpstreamClosedError as error:
                if not error.before_answer:
                    raise
            self._router.avoid(replica)
            self.close(exchange)
            self._metrics.retries += len(tried) < len(candidates)

    def close(self, exchange: Exchange, *, nearly_done: bool = False) -> None:
        """Let the replica and the connection go; safe to call twice."""
        replica, connection = exchange.replica, exchange.connection
        if not exchange.on_replica or replica is None:
            return
        exchange.on_replica = False
        self._router.leave(replica)
        if connection is not None:
            exchange.connection = None
            self._pool.release(replica.base_url, connection, nearly_done=nearly_done)

    def _enter(self, exchange: Exchange, replica: ReplicaAddress) -> None:
        self._router.enter(replica)
        exchange.replica = replica
        exchange.on_replica = True
        exchange.sharing = self._router.outstanding(replica)

    async def _send(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        replica: ReplicaAddress,
        path: str,
    ) -> UpstreamConnection:
        """Send and wait for the status. A connection that rested may have closed meanwhile: once more."""
        body = request.for_replica(replica.model_name)
        wire = self._pool.spell(replica.base_url, path, body, exchange.request_id.encode())
        connection = await self._pool.acquire(replica.base_url, fresh=False)
        try:
            return await self._answered(exchange, connection, wire)
        except UpstreamClosedError as error:
            if not (connection.used and error.before_answer):
                raise
        connection = await self._pool.acquire(replica.base_url, fresh=True)
        return await self._answered(exchange, connection, wire)

    async def _answered(
        self, exchange: Exchange, connection: UpstreamConnection, wire: bytes
    ) -> UpstreamConnection:
        exchange.connection = connection
        if exchange.client_gone:
            raise ClientGoneError("the client hung up")
        connection.start(wire)
        exchange.reached = True
        await connection.head()
        return connection


def as_api_error(error: UpstreamError) -> errors.ApiError:
    """Say to the client what happened to the replica."""
    if error.timed_out:
        return errors.upstream_timeout()
    return errors.upstream_failed(str(error))
