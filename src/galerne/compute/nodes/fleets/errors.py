"""Errors about fleet files."""

from galerne.rest.errors import Forbidden, Unprocessable


class FleetInvalid(Unprocessable):
    """The file is well formed and states something that cannot be."""

    code = "fleet_invalid"
    title = "Fleet file not valid"


class OperatorOnly(Forbidden):
    """Only the operator of the platform changes the fleet."""

    code = "operator_only"
