"""What can stand against a proof."""

from galerne.rest.errors import Conflict, GalerneError, NotFound, TooLarge


class ProofSubjectUnknown(NotFound):
    """The log says nothing of it to this caller."""

    code = "proof_subject_unknown"


class ProofPending(Conflict):
    """Entries about it are committed and not signed yet."""

    code = "proof_pending"


class ProofTooLarge(TooLarge):
    """More entries than one proof may hold."""

    code = "proof_too_large"


class LogDamaged(GalerneError):  # noqa: N818 - names the condition, as the tree it belongs to
    """The database no longer says what was signed: somebody has changed it."""

    status = 500
    code = "log_damaged"
    title = "The log has been changed"
