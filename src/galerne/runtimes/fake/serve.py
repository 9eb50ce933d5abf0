"""Run the fake runtime as a process of its own: `python -m galerne.runtimes.fake.serve --port N`."""

import argparse
import asyncio
import contextlib
import signal

from galerne.runtimes.fake.server import FakeOptions, FakeServer, Fault


def main(argv: list[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serve an echo in the shape of the OpenAI API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--name", default="echo", help="the model name it reports")
    parser.add_argument("--tokens", type=int, default=16, help="in each answer")
    parser.add_argument("--first-token-seconds", type=float, default=0.0)
    parser.add_argument("--token-seconds", type=float, default=0.0)
    parser.add_argument("--fault", type=Fault, choices=list(Fault), default=Fault.NONE)
    return parser


async def _serve(options: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    behaviour = FakeOptions(
        model_name=options.name,
        tokens=options.tokens,
        first_token_seconds=options.first_token_seconds,
        token_seconds=options.token_seconds,
        fault=options.fault,
    )
    async with FakeServer(behaviour, host=options.host, port=options.port) as server:
        print(f"listening on {server.base_url}", flush=True)  # noqa: T201 - callers read the port
        await stopping.wait()


if __name__ == "__main__":
    main()
