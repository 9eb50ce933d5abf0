"""Errors of organizations."""

from galerne.rest.errors import Forbidden, NotFound, Unprocessable


class OrganizationNotFound(NotFound):
    """No such organization for this caller."""

    code = "organization_not_found"


class OperatorRequired(Forbidden):
    """Only the operator of the platform may do this."""

    code = "operator_required"


class CountryUnknown(Unprocessable):
    """No country has this code."""

    code = "country_unknown"


class VatIdInvalid(Unprocessable):
    """The VAT id has no form that any country uses."""

    code = "vat_id_invalid"
