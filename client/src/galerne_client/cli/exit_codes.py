"""What the exit code of the `galerne` command means. Scripts may rely on it."""

from enum import IntEnum

from galerne_client.errors import (
    ApiError,
    ConfigurationError,
    ConnectionFailedError,
    FileError,
    GalerneError,
)

REFUSALS = ("label_", "flow_", "residency_", "quota_", "impossible_")


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    AUTH = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "it worked",
    ExitCode.FAILED: "the thing itself failed: a job, a verification",
    ExitCode.USAGE: "the command, its options or a file cannot be used as given",
    ExitCode.REFUSED: "refused by a plan, a residency label or a quota",
    ExitCode.NOT_FOUND: "no such object for this key",
    ExitCode.AUTH: "no valid key, or one that may not do this",
    ExitCode.UNAVAILABLE: "the platform cannot be reached, or asks to try again later",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C; what was submitted goes on",
}
_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.AUTH,
    403: ExitCode.AUTH,
    404: ExitCode.NOT_FOUND,
    413: ExitCode.USAGE,
    422: ExitCode.USAGE,
    429: ExitCode.REFUSED,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}


def of_error(error: GalerneError) -> ExitCode:
    """Say which exit code an error has."""
    if isinstance(error, ApiError):
        if error.code.startswith(REFUSALS):
            return ExitCode.REFUSED
        return _BY_STATUS.get(error.status, ExitCode.FAILED)
    if isinstance(error, ConnectionFailedError):
        return ExitCode.UNAVAILABLE
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, (ConfigurationError, FileError)):
        return ExitCode.USAGE
    return ExitCode.FAILED


class CommandError(GalerneError):
    """A command that cannot go on, with the exit code that says so."""

    def __init__(
        self, message: str, *, exit_code: ExitCode, code: str, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.exit_code = exit_code


def help_text() -> str:
    """Spell the table for `--help`."""
    codes = " · ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    return f"Exit codes: {codes}"
