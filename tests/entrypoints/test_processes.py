"""How processes begin and end: arguments, the data directory, secrets, ports."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from galerne.config import ListenSettings
from galerne.entrypoints.arguments import settings_from
from galerne.entrypoints.failures import CannotListenError, DataDirectoryInUseError, StartError
from galerne.entrypoints.secrets import ensure_pepper
from galerne.entrypoints.serving import Served, run, running
from galerne.entrypoints.up import exclusive


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any of our variables."""
    for name in os.environ:
        if name.startswith("GALERNE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with 200; do nothing at start and end."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def test_arguments_become_settings(tmp_path: Path) -> None:
    """What the command line says is in force, and the data directory is there and private."""
    data = tmp_path / "deep" / "data"

    settings = settings_from("galerne x", "", ["--data-dir", str(data), "--log-level", "error"])

    assert (settings.data_dir, settings.log.level) == (data, "error")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--config", "missing.toml"], 2, "settings_invalid"),
        (["--data-dir", "/dev/null/data"], 1, "data_dir_unusable"),
        (["--colour"], 2, "--colour"),
        (["--log-level", "loud"], 2, "--log-level"),
    ],
)
def test_bad_arguments_end_the_process(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """A process that cannot be configured ends with a code, the name of what is wrong, and a hint."""
    with pytest.raises(SystemExit) as ended:
        settings_from("galerne x", "", arguments)

    assert ended.value.code == code
    assert words in capsys.readouterr().err


def test_one_up_holds_a_data_directory(tmp_path: Path) -> None:
    """The second is told who has it; once the first has ended it is free."""
    with exclusive(tmp_path), pytest.raises(DataDirectoryInUseError, match=str(os.getpid())):
        _hold(tmp_path)
    _hold(tmp_path)


def _hold(path: Path) -> None:
    with exclusive(path):
        pass


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Every process of an installation gets the same secret, which only its user can read."""
    path = tmp_path / "keys" / "pepper"

    first, second = ensure_pepper(path), ensure_pepper(path)

    assert first == second
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["pepper"]


async def test_processes_that_start_together_share_a_secret(tmp_path: Path) -> None:
    """Of several that make the secret at once, one's stands for all."""
    path = tmp_path / "pepper"

    made = await asyncio.gather(*(asyncio.to_thread(ensure_pepper, path) for _ in range(8)))

    assert len(set(made)) == 1


async def test_a_taken_port_is_an_error_with_the_address(taken_port: int) -> None:
    """A server that cannot listen says where it wanted to, and the others are stopped."""
    served = [
        Served("one", app, ListenSettings(port=_free_port())),
        Served("two", app, ListenSettings(port=taken_port)),
    ]

    with pytest.raises(CannotListenError, match=str(taken_port)):
        async with running(served):
            pass

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", served[0].listen.port)


async def test_servers_listen_until_the_block_ends() -> None:
    """Inside the block a request is answered; afterwards nothing listens."""
    port = _free_port()
    async with _one(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@asynccontextmanager
async def _one(port: int) -> AsyncIterator[None]:
    async with running([Served("one", app, ListenSettings(port=port))]):
        yield


def test_a_process_that_cannot_start_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """An expected fault at the start is two lines and an exit code, and no traceback."""

    async def fail() -> None:
        raise StartError("the moon is down")

    with pytest.raises(SystemExit) as ended:
        run(fail())

    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "error: the moon is down (start_failed)\nhint: read the log above\n"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
