"""What can stand against reading the log."""

from galerne.rest.errors import NotFound


class NoCheckpoint(NotFound):
    """Nothing has been signed yet."""

    code = "no_checkpoint"
