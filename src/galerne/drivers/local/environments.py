"""The images of this driver: named Python environments, built on first use and shared by all launches.

An image is defined by requirement files; its directory carries a digest of their content, so a changed file
is a new image and a running launch keeps the one it began with. An image can also be an environment that is
there already (`prefix`), as the control plane's own for the serving programs it ships with. Building is the
business of `image_builder`, waiting for it of the shim.
"""

import hashlib
import importlib.util
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galerne.drivers.errors import LaunchRefused
from galerne.drivers.local.records import ImageRecord

DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Requirements:
    """A requirement file that pip installs; `hashed` where every line carries its hashes."""

    path: Path
    hashed: bool = True


@dataclass(frozen=True, slots=True)
class Image:
    """A named environment: either files to build it from, or the prefix of one that exists."""

    requirements: tuple[Requirements, ...] = ()
    prefix: Path | None = None
    readable: tuple[Path, ...] = ()  # More that its programs may read, at its own place.


@dataclass(frozen=True, slots=True)
class Environment:
    """What a launch gets from its image."""

    path: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    record: ImageRecord | None = None  # Set where the shim has to wait for it.


class Environments:
    """The images that the operator configured."""

    def __init__(self, directory: Path, images: Mapping[str, Image]) -> None:
        self._directory = directory
        self._images = dict(images)

    def resolve(self, name: str | None) -> Environment:
        """Return what the image gives a launch. Raises `LaunchRefused` for a name that is none."""
        if name is None:
            return Environment()
        image = self._images.get(name)
        if image is None:
            known = ", ".join(sorted(self._images)) or "none"
            raise LaunchRefused(
                f"image {name!r} is not known to the local driver",
                code="image_unknown",
                hint=f"images configured here: {known}",
            )
        if image.prefix is not None:
            return Environment((image.prefix / "bin",), (image.prefix, *image.readable))
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = self._directory / f"{name.replace('/', '-')}-{digest(image)}"
        record = ImageRecord(
            name=name,
            directory=str(directory),
            requirements=[(str(r.path.resolve()), r.hashed) for r in image.requirements],
            own_pip=importlib.util.find_spec("pip") is not None,
        )
        return Environment((directory / "bin",), (directory, *image.readable), record)


def digest(image: Image) -> str:
    """Name the content of an image: its requirement files, the Python and the architecture."""
    sha256 = hashlib.sha256(f"{sys.version} {platform.machine()}".encode())
    for requirements in image.requirements:
        try:
            content = requirements.path.read_bytes()
        except OSError as error:
            raise LaunchRefused(
                f"a requirement file of the image cannot be read: {error}",
                code="image_broken",
                hint="correct the path in the operator's configuration of images",
            ) from error
        sha256.update(f"{requirements.hashed} {len(content)}\n".encode() + content)
    return sha256.hexdigest()[:DIGEST_CHARACTERS]
