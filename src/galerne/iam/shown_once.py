"""Answers that hold a new key's secret, which is written down nowhere, also not for a repeated request.

An endpoint on `ShownOnceRoute` answers with `"secret": null` and hands the secret to `show_once`. What
is stored under an Idempotency-Key is that answer; the secret is put into the one that leaves first.
"""

import json
from typing import Any

from fastapi import Request, Response

from galerne.rest.route import Handler, TransactionalRoute


def show_once(request: Request, secret: str) -> None:
    """Have `secret` put into the field `secret` of this request's answer."""
    request.state.secret_shown_once = secret


class ShownOnceRoute(TransactionalRoute):
    """The route class of endpoints that make keys. Has the answer kept out of every cache, too."""

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await answer(request)
            secret = getattr(request.state, "secret_shown_once", None)
            return response if secret is None else _with_secret(response, secret)

        return handle


def _with_secret(response: Response, secret: str) -> Response:
    body: dict[str, Any] = json.loads(bytes(response.body))
    assert body["secret"] is None, "the secret was already in the answer, and may have been stored"
    return Response(
        json.dumps({**body, "secret": secret}, separators=(",", ":")),
        status_code=response.status_code,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
