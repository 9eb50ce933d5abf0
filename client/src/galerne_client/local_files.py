"""Local files on their way to or from the platform: found, bounded, and named by their content."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from galerne_client.errors import FileError, UnexpectedAnswerError
from galerne_client.models import UploadedFile

FILES_MAX = 20_000
TOTAL_BYTES_MAX = 200_000_000_000


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file and the path that it has on the platform."""

    source: Path
    path: str  # With forward slashes, relative.
    sha256: str
    size_bytes: int
    is_executable: bool = False

    def as_uploaded(self) -> UploadedFile:
        return UploadedFile(
            path=self.path,
            sha256=self.sha256,
            size_bytes=self.size_bytes,
            executable=self.is_executable,
        )


def local_file(source: Path, path: str) -> LocalFile:
    """Read the file once to name it by its content. Raises FileError."""
    try:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            details = os.fstat(file.fileno())
    except OSError as error:
        raise FileError(
            f"cannot read {source}: {error.strerror}",
            code="file_unreadable",
            hint="paths under files: are relative to the YAML file",
        ) from error
    return LocalFile(source, path, digest, details.st_size, bool(details.st_mode & 0o100))


def below(
    directory: Path, *, files_max: int = FILES_MAX, total_bytes_max: int = TOTAL_BYTES_MAX
) -> list[LocalFile]:
    """Take every file below `directory`, in the order of their paths. Raises FileError."""
    if not directory.is_dir():
        raise FileError(f"{directory} is not a directory", code="not_a_directory")
    found: list[LocalFile] = []
    total_bytes = 0
    for source in _walk(directory):
        if len(found) == files_max:
            raise FileError(
                f"more than {files_max} files below {directory}",
                code="too_many_files",
                hint="pack small files together",
            )
        total_bytes += source.stat().st_size
        if total_bytes > total_bytes_max:
            raise FileError(
                f"more than {total_bytes_max} bytes below {directory}",
                code="too_large",
                hint="push it in parts",
            )
        found.append(local_file(source, source.relative_to(directory).as_posix()))
    return found


def _walk(directory: Path) -> Iterator[Path]:
    """Visit regular files. Links are not followed: what they name may lie outside."""
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            raise FileError(
                f"{entry} is a symbolic link",
                code="symbolic_link",
                hint="put the file itself there, or leave the link out",
            )
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.is_file():
            yield entry


def safe_target(directory: Path, path: str) -> Path:
    """Return where a file of that path goes, or raise if that is outside `directory`."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise UnexpectedAnswerError(f"the platform named a file outside the directory: {path!r}")
    return directory.joinpath(*relative.parts)
