"""What can stand against a job."""

from galerne.rest.errors import Conflict, Forbidden, NotFound, Unprocessable


class JobNotFound(NotFound):
    """No such job for this caller."""

    code = "job_not_found"


class ImpossibleResources(Unprocessable):
    """No site of the fleet could ever run it, even when empty."""

    code = "impossible_resources"


class FlowRefused(Forbidden):
    """The label does not contain where this would go. The refusal itself is on record."""

    code = "label_refused"
    commits = True


class JobEnded(Conflict):
    """The job has ended; nothing can be asked of it any more."""

    code = "job_ended"


class FileMissing(Unprocessable):
    """A file of the workload was not uploaded before it was named."""

    code = "file_missing"
