"""What an operator may set of the gateway; every bound it keeps is here, with its unit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Immutable settings; `entrypoints` reads them from the configuration."""

    journal_directory: Path  # Owned by one gateway process at a time.
    site_id: str = ""  # The site this gateway stands in; a replica's own site wins.

    body_bytes_max: int = 16 << 20
    inflight_body_bytes_max: int = 256 << 20  # Of all requests together.
    inflight_requests_max: int = 4096
    response_bytes_max: int = 32 << 20  # Of one answer that is not streamed.
    event_bytes_max: int = 4 << 20  # Of one server-sent event.
    stream_buffer_bytes_max: int = 64 << 10  # Held for a client that reads slowly.

    connect_seconds_max: float = 2.0
    first_byte_seconds_max: float = 300.0  # A long answer that is not streamed needs all of it.
    idle_seconds_max: float = 60.0  # Between two parts of a stream.
    client_seconds_max: float = 60.0  # For a client to send its body or to take what it was sent.
    upstream_idle_connections_max: int = 256  # Kept open for each replica.
    upstream_idle_seconds_max: float = 4.0  # Serving programs close idle connections after 5 s.
    tick_seconds: float = 0.05  # How late a hang-up or time-out may be noticed.

    snapshot_refresh_seconds: float = 1.0
    snapshot_load_seconds_max: float = 10.0

    journal_commit_seconds: float = 0.005  # Records of this span share one fsync.
    journal_segment_bytes_max: int = 4 << 20
    ship_interval_seconds: float = 0.25
    ship_batch_records_max: int = 500
    ship_seconds_max: float = 30.0
    ship_backoff_seconds_max: float = 30.0

    shutdown_grace_seconds: int = 30
    log_requests: bool = True


def uvicorn_options(settings: GatewaySettings) -> dict[str, Any]:
    """Return the options under which the gateway was measured and tested; pass them to `uvicorn.Config`."""
    return {
        "http": "httptools",
        "loop": "uvloop",
        "lifespan": "on",
        "ws": "none",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "backlog": 4096,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": settings.shutdown_grace_seconds,
    }
