"""Requests that waiting would not help: refused when they are made."""

from galerne.rest.errors import Unprocessable


class ImpossibleResources(Unprocessable):
    """No site could ever give this, even when nothing else runs."""

    code = "impossible_resources"
    title = "Impossible resources"


class LabelAllowsNoSite(Unprocessable):
    """The label allows none of the sites that could be considered."""

    code = "label_allows_no_site"
    title = "The label allows no site"
