"""What can stand against a blob or an artifact."""

from galerne.rest.errors import BadRequest, NotFound, Unprocessable


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


class UploadCutOff(BadRequest):
    """The content did not arrive to its end. Nothing was kept."""

    code = "upload_cut_off"
