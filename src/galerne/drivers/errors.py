"""What a driver may raise. Anything else is a bug of the driver.

DriverError
├── NotYet               the engine is busy with it; ask again on a later pass
├── EngineUnavailable    the engine does not answer; nothing is known, nothing is assumed
└── LaunchRefused        the engine will never run this; `code` and `hint` say why
"""


class DriverError(Exception):
    """Root of what drivers raise."""


class NotYet(DriverError):  # noqa: N818 - an answer, not a fault
    """The engine has accepted the call and is not done; the caller comes back on its next pass."""


class EngineUnavailable(DriverError):  # noqa: N818 - names the condition, as the field does
    """The engine cannot be reached. The caller backs off and must not conclude that work is gone."""


class LaunchRefused(DriverError):  # noqa: N818 - names the condition, as the field does
    """The engine refuses this launch for good. `code` is stable, `hint` says what would change it."""

    def __init__(self, message: str, *, code: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
