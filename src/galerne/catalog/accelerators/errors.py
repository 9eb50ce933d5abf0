"""Errors about accelerator types."""

from galerne.rest.errors import Unprocessable


class UnknownAccelerator(Unprocessable):
    """No accelerator type has this name."""

    code = "unknown_accelerator"
    title = "Unknown accelerator type"
