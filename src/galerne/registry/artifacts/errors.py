"""What can stand against a blob or an artifact."""

from galerne.rest.errors import BadRequest, NotFound, TooLarge, Unprocessable


class ArtifactNotFound(NotFound):
    """No such artifact for this caller."""

    code = "artifact_not_found"


class FileNotInArtifact(NotFound):
    """The artifact has no file of that path."""

    code = "artifact_file_not_found"


class BlobMissing(Unprocessable):
    """Content was named that this caller has not sent. Whether anybody else has is not said."""

    code = "blob_missing"


class ManifestInvalid(BadRequest):
    """The list of files cannot be a directory."""

    code = "manifest_invalid"


class ArtifactTooLarge(TooLarge):
    """More files or bytes than an artifact may have."""

    code = "artifact_too_large"


class FileRefused(Unprocessable):
    """A workload left something that is neither a file nor a directory."""

    code = "artifact_file_refused"
