"""Commands that the server package brings: found by entry point, so that the client works without it.

Each entry of the group `galerne.commands` is a `main(argv: list[str]) -> int`.
"""

import importlib.metadata
from collections.abc import Sequence

from galerne_client.cli.exit_codes import CommandError, ExitCode

GROUP = "galerne.commands"
SERVER_COMMANDS = {
    "up": "Start a whole platform on this machine.",
    "api": "Run the control-plane API process.",
    "gateway": "Run the LLM gateway process.",
    "worker": "Run a worker process.",
    "migrate": "Bring the database to this version's schema.",
    "doctor": "Check this machine, its configuration and its data.",
}


def run_server_command(name: str, argv: Sequence[str]) -> int:
    """Hand over to the server package, or say how to get it."""
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        return int(entry.load()(list(argv)) or 0)
    raise CommandError(
        f"`galerne {name}` belongs to the server, which is not installed here",
        exit_code=ExitCode.USAGE,
        code="server_not_installed",
        hint="install galerne to run this: pip install galerne",
    )


def stand_in(*arguments: str) -> int:
    """Stand for a server command in the help; `main` runs the real one before this is reached."""
    raise AssertionError(f"reached a stand-in with {arguments}")
