"""`GET /v1/models` and `/v1/models/{id}`: what the caller's key may use, and nothing else."""

import json
from typing import Any

from galerne.gateway import errors
from galerne.gateway.asgi import Application, Receive, Scope, Send, answer
from galerne.gateway.authentication import authenticate
from galerne.gateway.errors import ApiError
from galerne.gateway.inference import current_snapshot
from galerne.gateway.parts import Parts
from galerne.gateway.snapshot import KeyPolicy, ServedModel, Snapshot
from galerne.kit.ids import new_id

PREFIX = "/v1/models/"


class ModelsEndpoint:
    """Lists models, or shows one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        headers = [(b"x-request-id", new_id("req").encode())]
        try:
            snapshot = current_snapshot(self._parts)
            policy = authenticate(snapshot, scope["headers"], self._parts.clock.now())
            content = _content(snapshot, policy, scope["path"])
            status, body = 200, json.dumps(content).encode()
            headers.append((b"content-type", b"application/json"))
            outcome = "ok"
        except ApiError as error:
            status, body, outcome = error.status, error.body(), error.code
            headers += error.headers()
        self._parts.metrics.count_request("models", outcome)
        await answer(send, status, body, headers)


def routes(parts: Parts) -> dict[str, dict[str, Application]]:
    """Map path and method to what answers; the path ending in `/` takes all below it."""
    endpoint = ModelsEndpoint(parts)
    return {"/v1/models": {"GET": endpoint}, PREFIX: {"GET": endpoint}}


def _content(snapshot: Snapshot, policy: KeyPolicy, path: str) -> dict[str, Any]:
    if not path.startswith(PREFIX):
        return {"object": "list", "data": [_card(served) for served in snapshot.visible(policy)]}
    name = path.removeprefix(PREFIX)
    served = snapshot.find(policy, name)
    if served is None:
        raise errors.model_not_found(name)
    return _card(served)


def _card(served: ServedModel) -> dict[str, Any]:
    card: dict[str, Any] = {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": served.owned_by,
        "aliases": list(served.aliases),
    }
    if served.context_tokens is not None:
        card["max_context_length"] = served.context_tokens
    return card
