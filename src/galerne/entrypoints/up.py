"""A whole cloud on one machine: API, gateway and worker in one process, on one data directory."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from galerne.config import Settings
from galerne.entrypoints.api import api_served
from galerne.entrypoints.arguments import parser_of, read_settings
from galerne.entrypoints.failures import DataDirectoryInUseError
from galerne.entrypoints.gateway import gateway_served
from galerne.entrypoints.preparation import prepare
from galerne.entrypoints.serving import run, serve
from galerne.entrypoints.wiring import api_context, open_platform
from galerne.entrypoints.worker import report_nodes, work
from galerne.telemetry import configure_logging
from galerne.worker.loop import Wakeup
from galerne_client.contexts import operator_context, write_operator_context

_log = structlog.get_logger("galerne.up")


@contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go when the process dies, however it dies."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / "up.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise DataDirectoryInUseError(
                f"another `galerne up` (pid {pid}) works on {data_dir}"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def main(argv: Sequence[str]) -> int:
    """Run `galerne up`: the whole platform on this machine."""
    parser = parser_of("galerne up", main.__doc__ or "")
    parser.add_argument("--country", help="country this machine stands in, as FR: labels need it")
    arguments = parser.parse_args(list(argv))
    overrides = {"site": {"country": arguments.country}} if arguments.country else {}
    settings = read_settings(arguments, **overrides)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")
    run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    with exclusive(settings.data_dir):
        await _up(settings)


async def _up(settings: Settings) -> None:
    async with open_platform(settings) as platform:
        secret = await prepare(platform)
        wakeup = Wakeup()
        context = api_context(platform, changed=wakeup.wake)
        api = api_served(context, settings.api)
        gateway = gateway_served(platform)
        _leave_operator_context(settings, secret)
        await report_nodes(platform)
        await serve(
            [api, gateway],
            background=[lambda stop: work(platform, stop, wakeup)],
        )


def _leave_operator_context(settings: Settings, secret: str | None) -> None:
    """Tell the `galerne` command of this machine where we listen, with the key that it has or gets."""
    known = operator_context({"GALERNE_DATA_DIR": str(settings.data_dir)})
    api_key = secret or (known.api_key if known is not None else None)
    if api_key is None:
        return  # Somebody took the key away on purpose.
    path = write_operator_context(
        settings.data_dir,
        url=settings.api.url,
        api_key=api_key,
        gateway_url=settings.gateway.url,
    )
    _log.info("operator_context_written", path=str(path), key_is_new=secret is not None)
