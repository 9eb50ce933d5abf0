"""`/healthz` (the process lives), `/readyz` (it may be sent requests), `/metrics` (Prometheus)."""

import json

from prometheus_client import CONTENT_TYPE_LATEST

from galerne.gateway.asgi import Application, Receive, Scope, Send, answer
from galerne.gateway.parts import Parts

_JSON = (b"content-type", b"application/json")


def routes(parts: Parts) -> dict[str, dict[str, Application]]:
    """Map path and method to what answers."""

    async def healthz(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        await answer(send, 200, b'{"status":"ok"}', [_JSON])

    async def readyz(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        reasons = unready(parts)
        body = json.dumps({"status": "unready" if reasons else "ready", "reasons": reasons})
        await answer(send, 503 if reasons else 200, body.encode(), [_JSON])

    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        headers = [(b"content-type", CONTENT_TYPE_LATEST.encode())]
        await answer(send, 200, parts.metrics.exposition(), headers)

    return {"/healthz": {"GET": healthz}, "/readyz": {"GET": readyz}, "/metrics": {"GET": metrics}}


def unready(parts: Parts) -> list[str]:
    """Say why the gateway should not be sent requests; empty when it should."""
    reasons = []
    if parts.snapshots.current is None:
        reasons.append("no snapshot was loaded yet")
    if parts.accountant.unwritten_records:
        reasons.append("the usage journal cannot be written")
    if parts.keeper.draining:
        reasons.append("the gateway is stopping")
    return reasons
