"""Runs the `galerne` command: parses, calls, and turns every error of the user's into two plain lines."""

import os
import sys
from collections.abc import Sequence

from galerne_client.cli.exit_codes import CommandError, ExitCode, of_error
from galerne_client.cli.server_commands import SERVER_COMMANDS, run_server_command
from galerne_client.errors import GalerneError


def run() -> None:
    """Be the console script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return _dispatch(list(argv))
    except GalerneError as error:
        _report(error)
        return of_error(error)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; that is not our error, and Python must not report it.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open till we exit
        return ExitCode.OK


def _dispatch(argv: list[str]) -> int:
    if argv and argv[0] in SERVER_COMMANDS:
        return run_server_command(argv[0], argv[1:])
    # Imported here: a server command must not pay for a parser that it does not use.
    from cyclopts import CycloptsError  # noqa: PLC0415

    from galerne_client.cli.app import build_app  # noqa: PLC0415

    try:
        result = build_app()(
            argv, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        raise CommandError(
            " ".join(str(error).split()).rstrip("."),
            exit_code=ExitCode.USAGE,
            code="usage",
            hint=f"see `{' '.join(['galerne', *(error.command_chain or ())])} --help`",
        ) from error
    return result if isinstance(result, int) else ExitCode.OK


def _report(error: GalerneError) -> None:
    # Imported here: nothing is to be printed in the ordinary case.
    from galerne_client.cli.terminal import Terminal  # noqa: PLC0415

    Terminal().error(error)


if __name__ == "__main__":
    run()
