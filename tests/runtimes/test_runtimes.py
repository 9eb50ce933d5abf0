"""Both runtimes keep the contract: a command that starts, a probe, counters, a stop that ends."""

import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest
from tests.runtimes.processes import free_port, serving

from galerne.runtimes import embedded
from galerne.runtimes.base import Counters, Runtime, ServeRequest
from galerne.runtimes.fake.runtime import FakeRuntime
from galerne.runtimes.fake.server import FakeOptions, FakeServer, Fault
from galerne.runtimes.llamacpp.runtime import LlamaCppRuntime

RUNTIMES = [FakeRuntime(), LlamaCppRuntime()]


async def post(base_url: str, body: dict[str, object]) -> bytes:
    """POST a completion and return all that comes back."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base_url.rpartition(":")[2]))
    try:
        writer.write(
            b"POST /v1/completions HTTP/1.1\r\nhost: t\r\nconnection: close\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(content), content)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        return await reader.readexactly(int(lines[b"content-length"]))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
async def test_serves_counts_and_stops(runtime: Runtime, tmp_path: Path) -> None:
    """What a request used shows in the counters; on SIGTERM the program leaves with 0 at once."""
    path = embedded.locate().path
    async with serving(runtime, path, name="echo", log=tmp_path / "log") as (base_url, process):
        answer = json.loads(await post(base_url, {"prompt": "one two three", "max_tokens": 4}))
        counters = await runtime.counters(base_url)
        process.terminate()
        async with asyncio.timeout(5):
            status = await process.wait()

    assert answer["model"] == "echo"
    assert status == 0
    assert counters is not None
    assert counters.prompt_tokens == answer["usage"]["prompt_tokens"]
    assert counters.completion_tokens == answer["usage"]["completion_tokens"]
    assert (counters.requests_running, counters.requests_waiting) == (0, 0)


async def test_llamacpp_lets_a_running_request_end(tmp_path: Path) -> None:
    """On SIGTERM new connections are refused, the running answer comes whole, the wait is short."""
    runtime, path = LlamaCppRuntime(), embedded.locate().path
    async with serving(runtime, path, name="m", log=tmp_path / "log") as (base_url, process):
        asking = asyncio.create_task(
            post(base_url, {"prompt": "Once upon a time", "max_tokens": 60, "ignore_eos": True})
        )
        await _running(runtime, base_url)
        begun = time.monotonic()
        process.terminate()
        await asyncio.sleep(1.2)
        assert not await runtime.ready(base_url)
        answer = json.loads(await asking)
        async with asyncio.timeout(10):
            status = await process.wait()

    assert answer["usage"]["completion_tokens"] == 60
    assert status == 0
    assert time.monotonic() - begun < 20


async def test_llamacpp_leaves_when_the_grace_is_over(tmp_path: Path) -> None:
    """A request that would run on does not hold the stop longer than its grace."""
    runtime, path = LlamaCppRuntime(grace_seconds=1), embedded.locate().path
    async with serving(runtime, path, name="m", log=tmp_path / "log") as (base_url, process):
        asking = asyncio.create_task(
            post(base_url, {"prompt": "Once upon a time", "max_tokens": 1000, "ignore_eos": True})
        )
        await _running(runtime, base_url)
        process.terminate()
        async with asyncio.timeout(6):
            status = await process.wait()
        with pytest.raises(asyncio.IncompleteReadError):
            await asking

    assert status == 0


def test_llamacpp_says_what_it_takes() -> None:
    """The command sets the threads twice, and the memory covers weights and cache."""
    model = embedded.locate()
    request = _request(model.path)

    command = LlamaCppRuntime(python="python3").command(request)

    assert command.argv[:4] == ("python3", "-P", "-m", "galerne.runtimes.llamacpp.serve")
    assert command.env["OMP_NUM_THREADS"] == "1"
    assert "--threads=1" in command.argv
    assert command.memory_bytes > model.path.stat().st_size + 40_000_000


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
async def test_an_absent_program_is_not_ready(runtime: Runtime) -> None:
    """Nothing listens: not ready, no counters, no exception."""
    base_url = f"http://127.0.0.1:{free_port()}"

    assert not await runtime.ready(base_url)
    assert await runtime.counters(base_url) is None


async def test_a_program_that_loads_is_not_ready() -> None:
    """While it loads its health says so, and the probe believes it."""
    async with FakeServer(FakeOptions(fault=Fault.LOADING)) as server:
        loading = await FakeRuntime().ready(server.base_url)
        server.options.fault = Fault.NONE
        loaded = await FakeRuntime().ready(server.base_url)

    assert (loading, loaded) == (False, True)


@pytest.mark.parametrize("answer", [b"", b"\x16\x03", b"SSH-2.0\r\n\r\n", b"x" * 200_000])
async def test_a_stranger_on_the_port_is_not_ready(answer: bytes) -> None:
    """Another program that listens there is not taken for ours, and harms nothing."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert not await FakeRuntime().ready(f"http://127.0.0.1:{port}")
        await asyncio.sleep(0.01)


async def test_counters_of_a_fresh_program() -> None:
    """Nothing asked, nothing counted."""
    async with FakeServer() as server:
        assert await FakeRuntime().counters(server.base_url) == Counters(0, 0, 0, 0)


async def _running(runtime: Runtime, base_url: str) -> None:
    """Wait until the program is at work on a request."""
    async with asyncio.timeout(10):
        while not await _busy(runtime, base_url):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.02)


async def _busy(runtime: Runtime, base_url: str) -> bool:
    counters = await runtime.counters(base_url)
    return counters is not None and counters.requests_running > 0


def _request(path: Path) -> ServeRequest:
    return ServeRequest(
        model_path=path,
        model_name="m",
        host="127.0.0.1",
        port=1,
        context_tokens=1024,
        parallel=2,
        threads=1,
    )
