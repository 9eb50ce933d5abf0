"""Errors about nodes."""

from galerne.rest.errors import NotFound


class NodeNotFound(NotFound):
    """No node has this id."""

    code = "node_not_found"
