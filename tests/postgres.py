"""A PostgreSQL server of the test session's own: loopback, a free port, a temporary folder, no fsync.

It is a child process of pytest and dies with it. The product connects as an ordinary role, to which
row-level security applies; only this module is superuser.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

import asyncpg

BINARIES = Path("/usr/lib/postgresql/15/bin")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
ROLE = "galerne"
TEMPLATE = "template_galerne"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
}


def is_installed() -> bool:
    return (BINARIES / "initdb").exists()


def is_required() -> bool:
    """On the build machine a missing server is a failure, never a skip."""
    return bool(os.environ.get("CI") or os.environ.get("GALERNE_REQUIRE_POSTGRES"))


class _User(TypedDict, total=False):
    """Whom the server runs as, for `subprocess`."""

    user: str
    group: str
    extra_groups: list[str]


class PostgresServer:
    """A running server with one template database that tests get copies of."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="galerne-postgres-"))
        self.port = _free_port()
        self._databases = 0
        # PostgreSQL refuses root; pytest may well be root.
        self._user: _User = {}
        if os.geteuid() == 0:
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        self._initialise()
        self._process = self._start()

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://{ROLE}@127.0.0.1:{self.port}/{name}"

    async def create_role(self) -> None:
        """Wait for the server, then create the product's role and its template database."""
        async with asyncio.timeout(START_SECONDS_MAX):
            admin = await self._connect_when_ready()
        await admin.execute(f"CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOBYPASSRLS")
        await admin.execute(f"CREATE DATABASE {TEMPLATE} OWNER {ROLE}")
        await admin.close()

    @asynccontextmanager
    async def copy(self, folder: Path) -> AsyncIterator[str]:
        """Yield the URL of a copy of the template for one test."""
        del folder  # Not a matter of files here.
        self._databases += 1
        name = f"test_{self._databases}"
        admin = await self._connect()
        try:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {ROLE}")
            yield self.url(name)
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await admin.close()

    async def create_empty(self) -> str:
        """Create a database without any table; return its URL."""
        self._databases += 1
        name = f"empty_{self._databases}"
        admin = await self._connect()
        await admin.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        await admin.close()
        return self.url(name)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown.
        self._process.wait(STOP_SECONDS_MAX)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        subprocess.run(  # noqa: S603 - a fixed program with our own folder
            [
                *(BINARIES / "initdb", "--pgdata", self.folder / "data", "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._user,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        settings = {**_SETTINGS, "port": self.port, "unix_socket_directories": self.folder}
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            # setpriv: should pytest be killed, the server is told to stop as well.
            died = ["/usr/bin/setpriv", "--pdeathsig", "INT"]
            return subprocess.Popen(  # noqa: S603 - a fixed program with our own settings
                [*died, str(BINARIES / "postgres"), "-D", str(self.folder / "data"), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._user,
            )

    async def _connect_when_ready(self) -> "asyncpg.Connection[asyncpg.Record]":
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            try:
                return await self._connect()
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.05)

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="postgres", database="postgres"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
