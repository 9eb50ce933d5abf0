"""The life of an inference request: authenticate, read, route, forward, record, answer.

Endpoint families (`chat`, `completions`) supply their fields; what they share is here.
"""

import asyncio

import structlog

from galerne.gateway import errors
from galerne.gateway.asgi import Headers, Receive, Scope, Send, answer
from galerne.gateway.authentication import authenticate
from galerne.gateway.dialects.fields import EndpointFields
from galerne.gateway.dialects.requests import InferenceRequest, read_request, warning
from galerne.gateway.errors import ApiError
from galerne.gateway.exchange import Exchange, Phase
from galerne.gateway.forwarding import as_api_error
from galerne.gateway.limits import HeldBody, read_body
from galerne.gateway.parts import Parts
from galerne.gateway.recording import Outcome, TokenCountMethod
from galerne.gateway.replies import read_whole, upstream_refusal
from galerne.gateway.routing import inside_label
from galerne.gateway.snapshot import ReplicaAddress, Snapshot
from galerne.gateway.sse import Usage
from galerne.gateway.streaming import StreamCopy
from galerne.gateway.upstream.connection import UpstreamConnection
from galerne.gateway.upstream.errors import ClientGoneError, UpstreamError
from galerne.kit.ids import new_id

_NOTHING = Usage(0, 0, 0)
_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_log = structlog.get_logger("galerne.gateway.request")


class InferenceEndpoint:
    """Answers POST on one inference endpoint."""

    def __init__(self, fields: EndpointFields, parts: Parts) -> None:
        self._fields = fields
        self._path = f"/v1/{fields.endpoint}"
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = self._parts
        clock = parts.clock
        exchange = Exchange(
            new_id("req"),
            self._fields.endpoint,
            started_at=clock.now(),
            monotonic=clock.monotonic(),
            since=parts.keeper.now,
        )
        parts.keeper.enter(exchange, receive)
        held: HeldBody | None = None
        try:
            snapshot = current_snapshot(parts)
            exchange.policy = authenticate(snapshot, scope["headers"], exchange.started_at)
            parts.accountant.check_writable()
            held = parts.limits.enter()
            body = await read_body(receive, _declared_length(scope), held)
            request, candidates = self._admit(exchange, snapshot, body)
            parts.keeper.set_phase(exchange, Phase.FIRST_BYTE)
            await self._forward(exchange, request, candidates, send)
        except ApiError as error:
            await _refuse(exchange, error, send)
        except ClientGoneError:
            exchange.outcome = Outcome.CLIENT_CLOSED
        except asyncio.CancelledError:
            if not exchange.interrupted:
                exchange.error_code = "cancelled"
                raise
            await _interrupted(exchange, send)
        finally:
            if held is not None:
                held.leave()
            parts.keeper.leave(exchange)
            self._finish(exchange)

    def _admit(
        self, exchange: Exchange, snapshot: Snapshot, body: bytes
    ) -> tuple[InferenceRequest, tuple[ReplicaAddress, ...]]:
        """Judge the request by the snapshot. Raises ApiError."""
        request = read_request(self._fields, body)
        policy = exchange.policy
        assert policy is not None
        served = snapshot.find(policy, request.model)
        if served is None:
            raise errors.model_not_found(request.model)
        request.check_against(served)
        exchange.served, exchange.model, exchange.streamed = served, served.name, request.stream
        return request, inside_label(served, policy)

    async def _forward(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        candidates: tuple[ReplicaAddress, ...],
        send: Send,
    ) -> None:
        """Take the request to a replica and its answer to the client; record it once, however it ends."""
        copy: StreamCopy | None = None
        try:
            connection = await self._parts.forwarder.open(exchange, request, candidates, self._path)
            if request.stream and connection.status == 200:
                copy = StreamCopy(exchange, request, connection, self._parts)
                await copy.run(send, self._headers(exchange, request, _EVENTS))
            else:
                await self._whole(exchange, request, connection, send)
        except UpstreamError as error:
            self._record_failure(exchange, request, copy)
            if exchange.client_gone:
                raise ClientGoneError("the client hung up") from error
            if copy is None or not copy.begun:
                raise as_api_error(error) from error
            exchange.error_code = as_api_error(error).code
            await copy.end_with(error, send)
        except (ApiError, asyncio.CancelledError) as error:
            if not (isinstance(error, ApiError) and error.status < 500):
                self._record_failure(exchange, request, copy)
            raise
        finally:
            self._parts.forwarder.close(exchange, nearly_done=copy is not None and copy.done)

    async def _whole(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        connection: UpstreamConnection,
        send: Send,
    ) -> None:
        """Answer in one piece."""
        parts = self._parts
        body = await connection.collect(parts.settings.response_bytes_max)
        if connection.status != 200:
            raise upstream_refusal(connection.status, body)
        reply = read_whole(body, exchange.model)
        usage, method = reply.usage, TokenCountMethod.ENGINE
        if usage is None:
            usage = Usage(request.prompt_tokens_estimate, reply.completion_tokens_estimate, 0)
            method = TokenCountMethod.CHUNKS
        parts.accountant.record(exchange, Outcome.OK, usage, method)
        headers = self._headers(exchange, request, [_JSON])
        headers += parts.accountant.cost_headers(exchange, usage)
        parts.keeper.set_phase(exchange, Phase.CLIENT_READS)
        exchange.status = 200
        await answer(send, 200, reply.body, headers)

    def _record_failure(
        self, exchange: Exchange, request: InferenceRequest, copy: StreamCopy | None
    ) -> None:
        """Record what a request that did not end well used: nothing if the client got nothing for it.

        A client that leaves pays for the prompt, which the replica read on its behalf.
        """
        if not exchange.reached:
            return
        left = exchange.client_gone or exchange.interrupted
        usage, method = _NOTHING, TokenCountMethod.CHUNKS
        if copy is not None and (copy.begun or left):
            usage, method = copy.counted
        elif left:
            usage = Usage(request.prompt_tokens_estimate, 0, 0)
        outcome = Outcome.CLIENT_CLOSED if left else Outcome.UPSTREAM_FAILED
        self._parts.accountant.record(exchange, outcome, usage, method)

    def _headers(self, exchange: Exchange, request: InferenceRequest, first: Headers) -> Headers:
        replica = exchange.replica
        site = replica.site_id if replica is not None and replica.site_id else ""
        site = site or self._parts.settings.site_id
        headers = [*first, (b"x-request-id", exchange.request_id.encode())]
        if site:
            headers.append((b"galerne-site", site.encode()))
        if request.ignored:
            headers.append((b"galerne-warning", warning(request.ignored)))
        return headers

    def _finish(self, exchange: Exchange) -> None:
        """Count the request and write its canonical line; prompts and answers are never in it."""
        parts, policy = self._parts, exchange.policy
        seconds = parts.clock.monotonic() - exchange.started_monotonic
        outcome = exchange.error_code or exchange.outcome or "internal_error"
        parts.metrics.count_request(exchange.endpoint, outcome)
        parts.metrics.request_seconds.observe(seconds)
        first = exchange.first_part_at
        if first is not None:
            parts.metrics.first_token_seconds.observe(first - exchange.started_monotonic)
        if not parts.settings.log_requests:
            return
        _log.info(
            "request",
            request_id=exchange.request_id,
            endpoint=exchange.endpoint,
            status=exchange.status,
            outcome=outcome,
            model=exchange.model,
            key_id=policy.key_id if policy else None,
            project_id=policy.project_id if policy else None,
            replica_id=exchange.replica.replica_id if exchange.replica else None,
            streamed=exchange.streamed,
            prompt_tokens=exchange.prompt_tokens,
            completion_tokens=exchange.completion_tokens,
            duration_ms=round(seconds * 1000, 1),
            ttft_ms=None
            if first is None
            else round((first - exchange.started_monotonic) * 1000, 1),
        )


def current_snapshot(parts: Parts) -> Snapshot:
    """Return the snapshot in force. Raises ApiError 503 before the first."""
    snapshot = parts.snapshots.current
    if snapshot is None:
        raise ApiError(
            503,
            "starting",
            "The gateway has not loaded its policy yet. Try again shortly.",
            retry_after_seconds=1,
        )
    return snapshot


def _declared_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


async def _refuse(exchange: Exchange, error: ApiError, send: Send) -> None:
    exchange.status, exchange.error_code = error.status, error.code
    headers = [*error.headers(), (b"x-request-id", exchange.request_id.encode())]
    if error.status == 413:
        # The rest of the body may still be on its way.
        headers.append((b"connection", b"close"))
    await answer(send, error.status, error.body(), headers)


async def _interrupted(exchange: Exchange, send: Send) -> None:
    """End a request whose client was too slow."""
    if exchange.task is not None:
        exchange.task.uncancel()
    if exchange.status:
        # The answer had begun: all that is left is to close the connection, which the server does.
        exchange.outcome = Outcome.CLIENT_CLOSED
        return
    error = ApiError(
        408, "request_timeout", "The request's body did not arrive in time. Send it again."
    )
    await _refuse(exchange, error, send)
