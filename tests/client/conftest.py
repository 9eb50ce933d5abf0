"""A platform at the seam, the two clients of it, and the command as a user runs it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.client.fake_platform import KEY, FakePlatform, async_transport, mock_transport, served

from galerne_client import AsyncGalerne, Galerne, RetryPolicy
from galerne_client.cli.main import main

AT_ONCE = RetryPolicy(delay_seconds=0.0)


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def galerne(platform: FakePlatform) -> Iterator[Galerne]:
    transport = mock_transport(platform)
    with Galerne(url="http://test", api_key=KEY, transport=transport, retry=AT_ONCE) as client:
        yield client


@pytest.fixture
async def async_galerne(platform: FakePlatform) -> AsyncIterator[AsyncGalerne]:
    transport = async_transport(platform)
    async with AsyncGalerne(
        url="http://test", api_key=KEY, transport=transport, retry=AT_ONCE
    ) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command went."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def environment(
    platform: FakePlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """What a user's shell holds: an address, a key, a home of its own."""
    with served(platform) as url:
        variables = {
            "GALERNE_URL": url,
            "GALERNE_API_KEY": KEY,
            "HOME": str(tmp_path / "home"),
            "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
            "GALERNE_DATA_DIR": str(tmp_path / "data"),
        }
        for name in [name for name in os.environ if name.startswith("GALERNE_")]:
            monkeypatch.delenv(name)
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield variables


@pytest.fixture
def run(environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""
    del environment

    def run_command(*arguments: str) -> Ran:
        capsys.readouterr()
        code = int(main(list(arguments)))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def run_process(environment: Mapping[str, str]) -> Run:
    """Run the command as a process of its own."""

    def run_command(*arguments: str, stdin: str = "", **variables: str) -> Ran:
        process = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "galerne_client.cli.main", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], **environment, **variables},
            timeout=60,
            check=False,
        )
        return Ran(process.returncode, process.stdout, process.stderr)

    return run_command
