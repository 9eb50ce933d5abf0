"""What can stand against a deployment."""

from galerne.rest.errors import Conflict, NotFound, Unprocessable


class DeploymentNotFound(NotFound):
    """No such deployment for this caller."""

    code = "deployment_not_found"


class DeploymentEnded(Conflict):
    """It has ended; nothing can be asked of it any more."""

    code = "deployment_ended"


class NameTaken(Conflict):
    """A live deployment of the project has this name: it is the name that requests ask for."""

    code = "deployment_name_taken"


class NoRuntime(Unprocessable):
    """No runtime reads the model's weights, or the one that was named does not."""

    code = "runtime_unsuitable"


class MemoryTooSmall(Unprocessable):
    """Weights and KV cache need more memory than the file asks for."""

    code = "memory_too_small"
