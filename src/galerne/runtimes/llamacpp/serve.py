"""Serve one GGUF file with llama.cpp: `python -m galerne.runtimes.llamacpp.serve --model FILE --port N`.

Imports nothing of galerne and little else, so that a replica is light. On SIGTERM it stops accepting,
lets running requests end up to a grace, then leaves with `os._exit(0)`: the library's own stop waits
about a minute for each request in flight.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
IDLE_POLLS = 2  # A request between two states shows as idle once; twice in a row is idle.


def main(argv: list[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    # Both must be set before the library is loaded: it reads them once.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ.setdefault("LLAMA_ARG_LOG_COLORS", "off")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if not options.model.is_file():
        sys.exit(f"no such file: {options.model}")
    server = _start(options)
    print(f"listening on {server.listening_address}", flush=True)  # noqa: T201 - the replica's log
    while not stopping.wait(1.0):
        pass
    _drain(server, options.host, options.port, grace_seconds=options.grace_seconds)
    sys.stdout.flush()
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serve one GGUF file with llama.cpp.")
    parser.add_argument("--model", type=Path, required=True, help="weights in GGUF")
    parser.add_argument("--name", default="", help="the name it reports; the file's name if empty")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context-tokens", type=int, default=2048, help="per request")
    parser.add_argument("--parallel", type=int, default=4, help="requests decoded together")
    parser.add_argument("--threads", type=int, default=1, help="one where cores are shared")
    parser.add_argument("--grace-seconds", type=float, default=20.0, help="on SIGTERM")
    return parser


def _start(options: argparse.Namespace) -> Any:
    try:
        import xllamacpp  # noqa: PLC0415 - after OMP_NUM_THREADS is set, see main
    except ImportError:
        sys.exit("the llama.cpp runtime is not installed: pip install 'galerne[llamacpp]'")
    params = xllamacpp.CommonParams()
    params.model.path = str(options.model)
    params.model_alias = {options.name or options.model.stem}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.endpoint_metrics = True
    params.endpoint_slots = False  # It would show one tenant's prompts to another.
    params.use_jinja = True
    params.ui = False
    params.cache_ram_mib = 0  # Prompts of finished requests are not kept.
    return xllamacpp.Server(params)


def _drain(server: Any, host: str, port: int, *, grace_seconds: float) -> None:
    """Refuse new connections, then wait until the engine says that it is idle."""
    deadline = time.monotonic() + grace_seconds
    _stop_accepting(host, port)
    idle = 0
    while time.monotonic() < deadline and idle < IDLE_POLLS:
        idle = idle + 1 if _running(server) == 0 else 0
        time.sleep(POLL_SECONDS)  # noqa: TID251 - a program of its own, without the kit


def _running(server: Any) -> int:
    """Count requests in the engine, asked in-process because the port no longer answers."""
    lines = str(server.handle_metrics()).splitlines()
    names = ("llamacpp:requests_processing ", "llamacpp:requests_deferred ")
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(names))


def _stop_accepting(host: str, port: int) -> None:
    """Put a socket that nobody knows in the place of the listening one.

    The library offers no way to stop listening, and shutting its socket down ends the requests in
    flight. The thread that waits in accept() still holds the old socket: one connection of our own
    lets it go.
    """
    blind = socket.socket(socket.AF_UNIX)
    blind.bind("")  # An abstract name chosen by the kernel.
    blind.listen(1)
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            with socket.socket(fileno=os.dup(number)) as listener:
                listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                inet = listener.family in {socket.AF_INET, socket.AF_INET6}
                if not (listening and inet and listener.getsockname()[1] == port):
                    continue
            os.dup2(blind.fileno(), number)
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=0.2).close()


if __name__ == "__main__":
    main()
