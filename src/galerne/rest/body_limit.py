"""A bound on request bodies, checked before anything reads them whole. Uploads keep their own bound."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galerne.rest.errors import TooLarge
from galerne.rest.problems import problem_response

BODY_BYTES_MAX = 8_000_000


class BodyTooLarge(TooLarge):
    """The request's body is larger than any request of this API needs to be."""

    code = "body_too_large"


class BodyLimit:
    """ASGI middleware: refuses by the announced length at once, else as soon as too much has come."""

    def __init__(
        self, app: ASGIApp, *, bytes_max: int = BODY_BYTES_MAX, unbounded: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._unbounded = tuple(unbounded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._unbounded):
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._bytes_max:
            await problem_response(self._error())(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._bytes_max:
                raise self._error()
            return message

        await self._app(scope, counted, send)

    def _error(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"the body is larger than {self._bytes_max} bytes",
            hint="send files as blobs, each with PUT /api/v1/blobs/{sha256}",
        )


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
