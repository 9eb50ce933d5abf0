"""What can stand against a dataset."""

from galerne.rest.errors import Conflict, NotFound


class DatasetNotFound(NotFound):
    """No such dataset, or version of it, for this caller."""

    code = "dataset_not_found"


class DatasetBusy(Conflict):
    """Several versions of one dataset are being registered at once."""

    code = "dataset_busy"
