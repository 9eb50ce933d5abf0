"""Errors of members."""

from galerne.rest.errors import Conflict, Forbidden, NotFound


class MemberNotFound(NotFound):
    """No such member for this caller."""

    code = "member_not_found"


class MemberEmailTaken(Conflict):
    """The organization has a member with this address."""

    code = "member_email_taken"


class LastOwner(Conflict):
    """An organization is never without an owner."""

    code = "last_owner"


class RoleBeyondCaller(Forbidden):
    """Nobody gives, changes or takes away a role that holds more than their own key."""

    code = "role_beyond_caller"
