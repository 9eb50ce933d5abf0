"""Errors about sites."""

from galerne.rest.errors import Conflict, NotFound


class SiteNotFound(NotFound):
    """No site has this id or name."""

    code = "site_not_found"


class SiteInUse(Conflict):
    """The name belongs to a site of another nature: a real one cannot become a simulated one."""

    code = "site_in_use"
