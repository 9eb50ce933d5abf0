"""Errors of API keys."""

from galerne.rest.errors import Forbidden, NotFound, Unprocessable


class KeyNotFound(NotFound):
    """No such key for this caller."""

    code = "api_key_not_found"


class ScopeUnknown(Unprocessable):
    """A scope that does not exist."""

    code = "scope_unknown"


class ScopesExceeded(Forbidden):
    """The key would hold more than its member's role, its binding or its maker allows."""

    code = "scopes_exceeded"


class ModelsExceeded(Forbidden):
    """The key would reach models that the key which makes it may not."""

    code = "models_exceeded"


class ExpiryInvalid(Unprocessable):
    """The expiry has passed, or is later than that of the key which makes this one."""

    code = "expiry_invalid"
