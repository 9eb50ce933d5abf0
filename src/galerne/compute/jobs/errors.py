"""What can stand against a job."""

from galerne.rest.errors import Conflict, NotFound, Unprocessable


class JobNotFound(NotFound):
    """No such job for this caller."""

    code = "job_not_found"


class JobEnded(Conflict):
    """The job has ended; nothing can be asked of it any more."""

    code = "job_ended"


class FileMissing(Unprocessable):
    """A file of the workload was not uploaded before it was named."""

    code = "file_missing"
