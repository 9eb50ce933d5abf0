"""Answers that come in events: copied as they come, accounted for before the last one leaves."""

from functools import partial

from galerne.gateway.asgi import Headers, Send
from galerne.gateway.dialects.requests import InferenceRequest
from galerne.gateway.exchange import Exchange, Phase
from galerne.gateway.forwarding import as_api_error
from galerne.gateway.parts import Parts
from galerne.gateway.recording import Outcome, TokenCountMethod
from galerne.gateway.sse import StreamError, StreamRewriter, Usage
from galerne.gateway.upstream.connection import UpstreamConnection
from galerne.gateway.upstream.errors import UpstreamClosedError, UpstreamError, UpstreamGarbageError

_DONE = b"data: [DONE]\n\n"


class StreamCopy:
    """Copies one stream. Reads no faster than the client takes it."""

    def __init__(
        self,
        exchange: Exchange,
        request: InferenceRequest,
        connection: UpstreamConnection,
        parts: Parts,
    ) -> None:
        self.begun = False  # The client has been promised a stream.
        self._exchange = exchange
        self._request = request
        self._connection = connection
        self._parts = parts
        self._rewriter = StreamRewriter(
            exchange.model,
            usage_asked=request.usage_asked,
            event_bytes_max=parts.settings.event_bytes_max,
            extension=partial(parts.accountant.cost_extension, exchange),
        )

    @property
    def done(self) -> bool:
        return self._rewriter.done

    @property
    def counted(self) -> tuple[Usage, TokenCountMethod]:
        """Return the tokens so far: the engine's figure, or the parts that carried text."""
        if self._rewriter.usage is not None:
            return self._rewriter.usage, TokenCountMethod.ENGINE
        guess = Usage(self._request.prompt_tokens_estimate, self._rewriter.text_events, 0)
        return guess, TokenCountMethod.CHUNKS

    async def run(self, send: Send, headers: Headers) -> None:
        """Copy to the end. Raises UpstreamError; once `begun`, the caller can only send an event."""
        part = await self._next()
        while not part and not self.done:
            part = await self._next()
        self._exchange.first_part_at = self._parts.clock.monotonic()
        self._exchange.status = 200
        self.begun = True
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while not self.done:
            if part:
                self._parts.keeper.set_phase(self._exchange, Phase.CLIENT_READS)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            part = await self._next()
        usage, method = self.counted
        self._parts.accountant.record(self._exchange, Outcome.OK, usage, method)
        self._parts.keeper.set_phase(self._exchange, Phase.CLIENT_READS)
        await send({"type": "http.response.body", "body": part})

    async def end_with(self, error: UpstreamError, send: Send) -> None:
        """End a stream that has begun with an error event; there is no [DONE] after it."""
        await send({"type": "http.response.body", "body": as_api_error(error).event()})

    async def _next(self) -> bytes:
        """Return the next whole events, rewritten; may be empty."""
        self._parts.keeper.set_phase(self._exchange, Phase.STREAM)
        data = await self._connection.read()
        rewriter = self._rewriter
        if not data:
            if rewriter.usage is None:
                raise UpstreamClosedError("it ended before it said done", before_answer=False)
            rewriter.done = True
            return _DONE
        try:
            part = rewriter.feed(data)
        except StreamError as error:
            raise UpstreamGarbageError(str(error)) from error
        if rewriter.failed:
            raise UpstreamGarbageError("it reported an error in the stream")
        return part
