"""One canonical line and one measurement for each request of the control plane."""

import time

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galerne.kit.ids import new_id

_requests = Counter("galerne_api_requests_total", "Requests", ["method", "route", "status"])
_seconds = Histogram("galerne_api_request_seconds", "Time to answer", ["method", "route"])
_log = structlog.get_logger("galerne.api")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLog:
    """ASGI middleware. Logs the route, never the query or the body, which may hold a tenant's data."""

    def __init__(self, app: ASGIApp, process: str) -> None:
        self._app = app
        self._process = process

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        began = time.perf_counter()
        status = 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            self._record(scope, request_id, status, time.perf_counter() - began)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"]
        _requests.labels(method, route, str(status)).inc()
        _seconds.labels(method, route).observe(seconds)
        if scope["path"] in QUIET:
            return
        subject = scope.get("state", {}).get("subject")
        level = "error" if status >= 500 else "info"
        getattr(_log, level)(
            "request",
            process=self._process,
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            organization_id=getattr(subject, "organization_id", None),
            actor=getattr(subject, "actor", None),
        )
