"""Workload and fleet files: YAML read safely, with its size, depth and keys checked before it is used.

Errors name the file, the line and the column. What the keys mean is the platform's business.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from galerne_client.errors import FileError
from galerne_client.local_files import LocalFile, below, local_file

FILE_BYTES_MAX = 1_000_000
DEPTH_MAX = 50
WORKLOAD_TYPES = ("job", "deployment")
WORKLOAD_FILES_MAX = 1_000
WORKLOAD_BYTES_MAX = 1_000_000_000

# The C parser where there is one: a fleet file can be long.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A safe loader that takes every key once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise _Refused(
                    f"the key {key!r} is there twice",
                    key_node.start_mark,
                    code="yaml_duplicate_key",
                    hint="keep one of them",
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


class _Refused(Exception):  # noqa: N818 - becomes a FileError, once the file's name is known
    def __init__(self, message: str, mark: Any, *, code: str, hint: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.code = code
        self.hint = hint


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file whose top is a mapping. Raises FileError."""
    text = _text(path)
    try:
        _check_shape(text)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - derives from the safe loader
    except _Refused as refused:
        where = _at(path, refused.mark)
        raise FileError(f"{where}: {refused}", code=refused.code, hint=refused.hint) from None
    except yaml.MarkedYAMLError as error:
        problem = " ".join(filter(None, [error.problem, error.context]))
        raise FileError(
            f"{_at(path, error.problem_mark)}: {problem}",
            code="yaml_invalid",
            hint="check indentation, colons and quotes there",
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FileError(f"{path}: not valid YAML: {error}", code="yaml_invalid") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise FileError(
            f"{path}: the top of the file is not a mapping of names",
            code="yaml_not_a_mapping",
            hint="begin with `type: job` or `type: deployment`",
        )
    return data


def _check_shape(text: str) -> None:
    """Refuse aliases and deep nesting before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(
                "an alias (*name) is not accepted: a few lines could unfold without end",
                event.start_mark,
                code="yaml_alias_refused",
                hint="write the repeated part out",
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            raise _Refused(
                f"nested more than {DEPTH_MAX} deep",
                event.start_mark,
                code="yaml_too_deep",
                hint="flatten it",
            )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}", code="file_unreadable") from error
    if len(content) > FILE_BYTES_MAX:
        raise FileError(
            f"{path} is larger than {FILE_BYTES_MAX // 1_000_000} MB",
            code="file_too_large",
            hint="data belongs in a dataset, programs under files:",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text", code="file_not_text") from error


def _at(path: Path, mark: Any) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)


def workload_type(spec: Mapping[str, Any], path: Path) -> str:
    """Return `job` or `deployment`. Raises FileError."""
    kind = spec.get("type")
    if kind in WORKLOAD_TYPES:
        return str(kind)
    if kind == "fleet":
        raise FileError(
            f"{path} is a fleet file",
            code="type_invalid",
            hint=f"load it with `galerne fleet import {path}`",
        )
    raise FileError(
        f"{path}: type is {kind!r}" if kind is not None else f"{path}: type is missing",
        code="type_invalid",
        hint=f"write `type: {WORKLOAD_TYPES[0]}` or `type: {WORKLOAD_TYPES[1]}`",
    )


def workload_files(spec: Mapping[str, Any], directory: Path) -> list[LocalFile]:
    """Collect what `files:` names: files and whole directories, relative to the YAML file."""
    named = spec.get("files") or []
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise FileError(
            "files: is not a list of paths", code="files_invalid", hint="write files: [train.py]"
        )
    found: dict[str, LocalFile] = {}
    for each in named:
        for file in _named(directory, each):
            found[file.path] = file
    _check_bounds(list(found.values()))
    return list(found.values())


def _named(directory: Path, path: str) -> list[LocalFile]:
    source = directory / path
    if Path(path).is_absolute() or not source.resolve().is_relative_to(directory.resolve()):
        raise FileError(
            f"{path!r} is outside the directory of the YAML file",
            code="path_outside",
            hint="copy it beside the YAML file, or use a dataset",
        )
    if not source.is_dir():
        return [local_file(source, Path(path).as_posix())]
    inside = below(source, files_max=WORKLOAD_FILES_MAX, total_bytes_max=WORKLOAD_BYTES_MAX)
    return [local_file(each.source, (Path(path) / each.path).as_posix()) for each in inside]


def _check_bounds(files: list[LocalFile]) -> None:
    total_bytes = sum(file.size_bytes for file in files)
    if len(files) > WORKLOAD_FILES_MAX or total_bytes > WORKLOAD_BYTES_MAX:
        raise FileError(
            f"files: names {len(files)} files of {total_bytes} bytes in all; at most"
            f" {WORKLOAD_FILES_MAX} files and {WORKLOAD_BYTES_MAX} bytes are taken",
            code="files_too_large",
            hint="push data as a dataset and name it under inputs:",
        )
