"""What can stand against a model."""

from galerne.rest.errors import Conflict, NotFound, Unprocessable


class ModelNotFound(NotFound):
    """No such model, or version of it, for this caller."""

    code = "model_not_found"


class ModelFormatUnknown(Unprocessable):
    """The files are not weights that any runtime reads."""

    code = "model_format_unknown"


class LineageUnknown(Unprocessable):
    """A model is said to come from something that this project does not have."""

    code = "lineage_unknown"


class ModelBusy(Conflict):
    """Several versions of one model are being registered at once."""

    code = "model_busy"
