# Paths are strings here as in the records that the shim hands over.
# ruff: noqa: PTH108, PTH118, PTH123
"""Builds one image: a virtual environment from requirement files, in a process of its own.

Started by a shim with the image's lock already held; the lock ends with the last process of the build, so a
killed builder's pip is never joined by a second one. Says how far it is in `.progress`, and in `.failed` why
it could not. Which images there are is for `environments` to say.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from galerne.drivers.local import records
from galerne.drivers.local.image_wait import MARKER
from galerne.drivers.local.records import ImageRecord

TAIL_LINES = 6
_COLLECTING = re.compile(r"^(?:Collecting|Processing|Obtaining) ([^\s=<>!~;@\[]+)")
_PIN = re.compile(r"^\s*[A-Za-z0-9./]")
_NO_ENSUREPIP = "the machine's Python has neither pip nor ensurepip: apt install python3-venv"


class BuildFailedError(Exception):
    """A step of the build failed; the text is the tail of what it said."""


class Builder:
    """One build of one image."""

    def __init__(self, image: ImageRecord, lock: int) -> None:
        self._image = image
        self._lock = lock
        self._parent, self._name = os.path.split(image["directory"])
        self._python = os.path.join(image["directory"], "bin", "python")
        self._total = sum(count_requirements(path) for path, _ in image["requirements"])
        self._collected: set[str] = set()

    def build(self) -> None:
        """Build from nothing, whatever an earlier build has left."""
        self._remove(".failed")
        shutil.rmtree(self._image["directory"], ignore_errors=True)
        try:
            self._make()
        except (BuildFailedError, OSError) as error:
            shutil.rmtree(self._image["directory"], ignore_errors=True)
            failure = {"message": str(error)[: records.MESSAGE_CHARACTERS_MAX], "at": time.time()}
            records.write(self._parent, self._name + ".failed", failure)
        self._remove(".progress")

    def _make(self) -> None:
        self._say("making the environment")
        venv = [sys.executable, "-I", "-m", "venv"]
        if self._image["own_pip"]:
            self._run([*venv, "--without-pip", self._image["directory"]])
            pip = [sys.executable, "-I", "-m", "pip", "--python", self._python]
        else:
            self._run([*venv, self._image["directory"]])
            pip = [self._python, "-I", "-m", "pip"]
        for path, hashed in self._image["requirements"]:
            install = [*pip, "install", "--no-input", "--disable-pip-version-check"]
            install += ["--progress-bar", "off", *(["--require-hashes"] if hashed else [])]
            self._run([*install, "-r", path])
        records.write(self._image["directory"], MARKER, {"built_at": time.time()})
        records.sync_directory(self._parent)

    def _run(self, command: Sequence[str]) -> None:
        tail: deque[str] = deque(maxlen=200)
        with subprocess.Popen(  # noqa: S603 - our own interpreter and our own requirement files
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=[self._lock],
            cwd=self._parent,
        ) as process:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                self._follow(line)
        if process.returncode != 0:
            raise BuildFailedError(explain(tail, process.returncode))

    def _follow(self, line: str) -> None:
        """Turn a line of pip's into progress."""
        match = _COLLECTING.match(line)
        if match is not None:
            self._collected.add(match[1].lower())
            count = min(len(self._collected), self._total) or 1
            self._say(f"installing {match[1]} ({count} of {max(self._total, 1)})")
        elif line.startswith("Installing collected packages"):
            self._say(f"unpacking {len(self._collected)} of {max(self._total, 1)} packages")

    def _say(self, detail: str) -> None:
        with contextlib.suppress(OSError):  # Progress is worth no failed build.
            record = {"detail": detail}
            records.write(self._parent, self._name + ".progress", record, durable=False)

    def _remove(self, suffix: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._image["directory"] + suffix)


def count_requirements(path: str) -> int:
    """Count the packages that a requirement file names; options, comments and hashes are none."""
    with open(path, encoding="utf-8") as file:
        return sum(1 for line in file if _PIN.match(line) and not line.startswith((" ", "\t")))


def explain(lines: Sequence[str], returncode: int) -> str:
    """Choose what of a failed step's output says why: its errors, else its last lines."""
    text = "\n".join(lines)
    if "ensurepip is not" in text or "No module named ensurepip" in text:
        return _NO_ENSUREPIP
    kept = [line for line in lines if line.lower().startswith("error")] or list(lines)
    return "; ".join(kept[-TAIL_LINES:]) or f"exit code {returncode}"


def main(arguments: Sequence[str | int]) -> None:  # pragma: no cover - a process of its own
    """Build; `arguments` are the image's record and the descriptor of its lock."""
    Builder(json.loads(str(arguments[0])), int(arguments[1])).build()
