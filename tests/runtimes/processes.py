"""Runs a runtime's own command, as a driver would."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from galerne.runtimes.base import Runtime, ServeRequest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(
    runtime: Runtime, model_path: Path, *, name: str, log: Path
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Start the runtime's command, wait until it is ready, and make sure that it ends."""
    request = ServeRequest(
        model_path=model_path,
        model_name=name,
        host="127.0.0.1",
        port=free_port(),
        context_tokens=1024,
        parallel=2,
        threads=1,
    )
    command = runtime.command(request)
    base_url = f"http://127.0.0.1:{request.port}"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env={**os.environ, **command.env, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(30):
            while not await runtime.ready(base_url):
                assert process.returncode is None, f"it ended; see {log}"
                await asyncio.sleep(0.05)
        yield base_url, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
