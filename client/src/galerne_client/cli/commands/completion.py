"""`galerne completion`: complete commands and options in the user's shell."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from galerne_client.cli.app import build_app
from galerne_client.cli.exit_codes import ExitCode
from galerne_client.cli.terminal import Terminal, plain

Shell = Annotated[
    Literal["bash", "zsh", "fish"] | None, Parameter(help="Which shell; else the one in use.")
]


def install(*, shell: Shell = None) -> int:
    """Install completion for your shell."""
    path = build_app().install_completion(shell=shell)
    Terminal().note(f"written to {plain(str(path))}; open a new shell to use it")
    return ExitCode.OK


def show(*, shell: Shell = None) -> int:
    """Write the completion script to standard output."""
    sys.stdout.write(build_app().generate_completion(shell=shell))
    return ExitCode.OK
