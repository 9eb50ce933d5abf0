"""Errors about leases."""

from galerne.rest.errors import NotFound


class LeaseNotFound(NotFound):
    """No such lease for this tenant."""

    code = "lease_not_found"
