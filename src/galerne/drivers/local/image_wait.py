# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH110, PTH118
"""What a shim does about its launch's image: look whether it is there, and have it built once.

Files next to the image's directory: `.lock`, held by the one builder there is; `.progress`; `.failed`. The
marker `galerne-image-complete` inside says that the image can be used. The builder is a process of its own
(`image_builder`), so a launch that is stopped does not take the build from the others that wait. Shims import
this module: keep it small.
"""

import fcntl
import json
import os
import time

from galerne.drivers.local import records
from galerne.drivers.local.records import ImageRecord
from galerne.drivers.local.spawn import spawn_helper

MARKER = "galerne-image-complete"
BUILDS_MAX = 3


class ImageFailedError(Exception):
    """The image could not be built; the text says why."""


class ImageWait:
    """One shim's wait for one image."""

    def __init__(self, image: ImageRecord, *, python_path: list[str]) -> None:
        self._image = image
        self._python_path = python_path
        self._parent, self._name = os.path.split(image["directory"])
        self._began = time.time()  # Compared with the builder's, which is on this machine.
        self._builds = 0

    def poll(self) -> str | None:
        """Return how far the image is, None when it can be used; start a builder if there is none."""
        if is_complete(self._image["directory"]):
            return None
        failure = records.read(self._parent, self._name + ".failed")
        if failure is not None and failure["at"] >= self._began:
            raise ImageFailedError(failure["message"])
        self._build_unless_built()
        progress = records.read(self._parent, self._name + ".progress") or {}
        return f"building image {self._image['name']}: {progress.get('detail', 'starting')}"

    def _build_unless_built(self) -> None:
        """Start a builder with the lock in its hands; do nothing where somebody holds it."""
        path = self._image["directory"] + ".lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_complete(self._image["directory"]):
                return
            if self._builds == BUILDS_MAX:
                raise ImageFailedError(f"its build was interrupted {BUILDS_MAX} times")
            self._builds += 1
            os.set_inheritable(lock, True)
            spawn_helper(
                "image_builder",
                [json.dumps(self._image), lock],
                python_path=self._python_path,
                env=os.environ,
                errors=self._image["directory"] + ".err",
            )
        except BlockingIOError:
            return
        finally:
            os.close(lock)


def is_complete(directory: str) -> bool:
    """Say whether an image can be used."""
    return os.path.exists(os.path.join(directory, MARKER))
