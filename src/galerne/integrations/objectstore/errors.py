"""What can go wrong with stored content."""

from galerne.rest.errors import GalerneError, NotFound, TooLarge, Unprocessable


class StorageFull(GalerneError):  # noqa: N818 - names the condition, as the tree it belongs to
    """The disk or quota behind the store is used up. Nothing was kept of the object."""

    status = 507
    code = "storage_full"
    title = "Storage full"


class ObjectTooLarge(TooLarge):
    """The content goes beyond the stated limit."""

    code = "object_too_large"


class DigestMismatch(Unprocessable):
    """The content is not what its digest says. Nothing was kept."""

    code = "digest_mismatch"


class ObjectMissing(NotFound):
    """The store does not hold the content."""

    code = "object_missing"


class FileRefused(Unprocessable):
    """A link, socket, pipe or device stands where a file was to be kept."""

    code = "file_refused"


class TreeTooLarge(TooLarge):
    """More files, bytes or nested directories than one directory may have."""

    code = "tree_too_large"
