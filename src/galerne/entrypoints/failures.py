"""How a process ends that cannot start: one line with a code, one with what to do, and exit code 1."""

import sys
from typing import NoReturn

FAILED_EXIT_CODE = 1


class StartError(Exception):
    """A process cannot start; says why and what to do, without a traceback."""

    code = "start_failed"
    hint = "read the log above"


class CannotListenError(StartError):
    """A port is taken, or the address is not this machine's."""

    code = "cannot_listen"
    hint = "set GALERNE_API__PORT and GALERNE_GATEWAY__PORT to ports that are free"


class ApplicationFailedError(StartError):
    """An application refused to start; it has logged why."""

    code = "application_failed"
    hint = "the log lines above say why"


class DataDirectoryInUseError(StartError):
    """Another `galerne up` works on this data directory."""

    code = "data_dir_in_use"
    hint = "stop it, or give this one another --data-dir"


class DatabaseUnavailableError(StartError):
    """The database cannot be reached, or the schema cannot be brought up to date."""

    code = "database_unavailable"
    hint = "is it running, and is GALERNE_DATABASE_URL right? `galerne doctor` tells more"


def end(message: str, *, code: str, hint: str, exit_code: int = FAILED_EXIT_CODE) -> NoReturn:
    """Write the two lines on standard error and end the process."""
    sys.stderr.write(f"error: {message} ({code})\nhint: {hint}\n")
    raise SystemExit(exit_code)
