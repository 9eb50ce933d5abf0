"""Datasets, models, and the artifacts that hold their files."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from galerne_client.base import parsed_as, parsed_as_nothing
from galerne_client.calls import Call, Steps, Stream, ask
from galerne_client.errors import FileError, UnexpectedAnswerError
from galerne_client.local_files import LocalFile, safe_target
from galerne_client.models import Artifact, Dataset, Model
from galerne_client.resource import ExecutorT, Resource, operation, paged, procedure, stream

Progress = Callable[[int], None]


def _upload(files: Sequence[LocalFile], on_bytes: Progress | None) -> Steps[None]:
    """Send each distinct content once. Sending what is already there changes nothing."""
    sent: set[str] = set()
    for file in files:
        if file.sha256 in sent:
            continue
        sent.add(file.sha256)
        yield from ask(
            Call(
                method="PUT",
                path=f"/blobs/{file.sha256}",
                upload=file.source,
                parse=parsed_as_nothing,
                on_bytes=on_bytes,
            )
        )


def _create_artifact(files: Sequence[LocalFile], project: str | None) -> Call[Artifact]:
    manifest = [file.as_uploaded().model_dump() for file in files]
    return Call(
        method="POST",
        path="/artifacts",
        json={"project": project, "files": manifest},
        parse=parsed_as(Artifact),
    )


class Artifacts(Resource[ExecutorT]):
    """Trees of files, addressed by content."""

    @operation
    def get(self, artifact_id: str) -> Call[Artifact]:
        return Call(method="GET", path=f"/artifacts/{artifact_id}", parse=parsed_as(Artifact))

    @procedure
    def upload(
        self, files: Sequence[LocalFile], *, on_bytes: Progress | None = None
    ) -> Steps[None]:
        """Send the contents of `files`, so that a workload or an artifact can name them."""
        return _upload(files, on_bytes)

    @procedure
    def create(
        self,
        files: Sequence[LocalFile],
        *,
        project: str | None = None,
        on_bytes: Progress | None = None,
    ) -> Steps[Artifact]:
        """Upload `files` and keep them as one tree."""
        yield from _upload(files, on_bytes)
        return (yield from ask(_create_artifact(files, project or self._project)))

    @procedure
    def download(
        self, artifact_id: str, destination: Path, *, on_bytes: Progress | None = None
    ) -> Steps[Artifact]:
        """Fetch every file below `destination`, each checked against its digest."""
        artifact = yield from ask(
            Call(method="GET", path=f"/artifacts/{artifact_id}", parse=parsed_as(Artifact))
        )
        for file in artifact.files:
            target = safe_target(destination, file.path)
            yield from ask(
                Call(
                    method="GET",
                    path=f"/artifacts/{artifact_id}/files/{file.path}",
                    download=target,
                    parse=parsed_as_nothing,
                    on_bytes=on_bytes,
                )
            )
            _check(target, file.sha256)
            if file.executable:
                target.chmod(target.stat().st_mode | 0o111)
        return artifact


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise UnexpectedAnswerError(
            f"{path.name} arrived damaged; it was removed",
            code="digest_mismatch",
            hint="fetch it again",
        )


class Datasets(Resource[ExecutorT]):
    """Named, versioned data with a licence and a label."""

    @stream
    def list(
        self, *, project: str | None = None, name: str | None = None, rows_max: int | None = None
    ) -> Stream[Dataset]:
        """Give every version, newest first."""
        project = project or self._project
        return paged("/datasets", Dataset, rows_max=rows_max, project=project, name=name)

    @operation
    def get(self, dataset_id: str) -> Call[Dataset]:
        return Call(method="GET", path=f"/datasets/{dataset_id}", parse=parsed_as(Dataset))

    @procedure
    def push(
        self,
        files: Sequence[LocalFile],
        *,
        name: str,
        licence: str,
        label: Mapping[str, Any] | None = None,
        source: Mapping[str, Any] | None = None,
        description: str = "",
        project: str | None = None,
        on_bytes: Progress | None = None,
    ) -> Steps[Dataset]:
        """Upload `files` and register them as the next version of the dataset `name`."""
        if not files:
            raise FileError("there is no file to push", code="directory_empty")
        project = project or self._project
        yield from _upload(files, on_bytes)
        artifact = yield from ask(_create_artifact(files, project))
        body: dict[str, Any] = {
            "project": project,
            "name": name,
            "artifact_id": artifact.id,
            "licence": licence,
            "source": dict(source or {}),
            "description": description,
        }
        if label is not None:
            body["label"] = dict(label)
        return (
            yield from ask(
                Call(method="POST", path="/datasets", json=body, parse=parsed_as(Dataset))
            )
        )


class Models(Resource[ExecutorT]):
    """Models: the organization's own and the operator's catalogue."""

    @stream
    def list(
        self, *, project: str | None = None, name: str | None = None, rows_max: int | None = None
    ) -> Stream[Model]:
        """Give every version, newest first."""
        project = project or self._project
        return paged("/models", Model, rows_max=rows_max, project=project, name=name)

    @operation
    def get(self, model_id: str) -> Call[Model]:
        return Call(method="GET", path=f"/models/{model_id}", parse=parsed_as(Model))
