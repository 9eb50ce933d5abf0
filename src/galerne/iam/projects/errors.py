"""Errors of projects."""

from galerne.rest.errors import Conflict, Forbidden, NotFound, Unprocessable


class ProjectNotFound(NotFound):
    """No such project for this caller."""

    code = "project_not_found"


class ProjectRequired(Unprocessable):
    """The request names no project, and which one is meant cannot be told."""

    code = "project_required"


class ProjectNameTaken(Conflict):
    """The organization has a project of this name."""

    code = "project_name_taken"


class LabelInvalid(Unprocessable):
    """The residency label says something that is no label."""

    code = "label_invalid"


class LabelWideningForbidden(Forbidden):
    """The new label allows what the old one did not, and the caller is no owner."""

    code = "label_widening_forbidden"
