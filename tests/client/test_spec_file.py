"""Workload files: hostile and mistaken YAML ends in a clear error, `files:` stays where it may."""

from pathlib import Path

import pytest

from galerne_client.cli import spec_file
from galerne_client.cli.spec_file import read_yaml, workload_files, workload_type
from galerne_client.errors import FileError

BOMB = """
a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: [*c, *c, *c, *c, *c, *c, *c, *c, *c]
"""


def refused(tmp_path: Path, text: str | bytes) -> FileError:
    path = tmp_path / "w.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError) as caught:
        read_yaml(path)
    return caught.value


class TestReading:
    def test_a_workload_is_read(self, tmp_path: Path) -> None:
        """Plain YAML becomes plain values."""
        path = tmp_path / "w.yaml"
        path.write_text("type: job\nname: a\nresources: {cpu: 2}\ncommands:\n  - echo hi\n")

        expected = {"type": "job", "name": "a", "resources": {"cpu": 2}, "commands": ["echo hi"]}
        assert expected == read_yaml(path)

    def test_a_bomb_is_refused_before_it_unfolds(self, tmp_path: Path) -> None:
        """An alias is an error with its line and column."""
        error = refused(tmp_path, BOMB)

        assert error.code == "yaml_alias_refused"
        assert "w.yaml:3:8" in error.message

    def test_an_anchor_that_nothing_repeats_is_harmless(self, tmp_path: Path) -> None:
        """Only what unfolds is refused."""
        path = tmp_path / "w.yaml"
        path.write_text("type: &t job\n")

        assert read_yaml(path) == {"type": "job"}

    @pytest.mark.parametrize(
        ("text", "code", "where"),
        [
            ("type: job\nname: a\nname: b\n", "yaml_duplicate_key", ":3:1"),
            ("type: job\nenv: {A: 1, A: 2}\n", "yaml_duplicate_key", ":2:13"),
            ("type: job\n  name: a\n", "yaml_invalid", ":2:7"),
            ("type: [job\n", "yaml_invalid", ":2:1"),
            ("a: !!python/object/apply:os.system [id]\n", "yaml_invalid", ":1:4"),
            ("[" * 60 + "]" * 60, "yaml_too_deep", ":1:51"),
        ],
    )
    def test_what_is_wrong_is_said_with_its_place(
        self, tmp_path: Path, text: str, code: str, where: str
    ) -> None:
        """Each mistake has a code, and the line and column where it is."""
        error = refused(tmp_path, text)

        assert code == error.code
        assert where in error.message

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("- a\n- b\n", "yaml_not_a_mapping"),
            ("1: a\n", "yaml_not_a_mapping"),
            ("", "yaml_not_a_mapping"),
            (b"\xff\xfe\x00", "file_not_text"),
            ("a" * (spec_file.FILE_BYTES_MAX + 1), "file_too_large"),
        ],
    )
    def test_what_is_no_workload_is_refused(
        self, tmp_path: Path, text: str | bytes, code: str
    ) -> None:
        """A list, a binary, an empty or an enormous file each has its own code."""
        assert code == refused(tmp_path, text).code

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        """The error names the file."""
        with pytest.raises(FileError) as caught:
            read_yaml(tmp_path / "none.yaml")

        assert "none.yaml" in caught.value.message


class TestType:
    @pytest.mark.parametrize("spec", [{}, {"type": "task"}, {"type": ["job"]}, {"type": "fleet"}])
    def test_only_jobs_and_deployments_are_applied(self, spec: dict[str, object]) -> None:
        """Another type is refused with what to write instead."""
        with pytest.raises(FileError) as caught:
            workload_type(spec, Path("w.yaml"))

        assert caught.value.code == "type_invalid"
        assert caught.value.hint


class TestFiles:
    def test_files_and_directories_are_collected(self, tmp_path: Path) -> None:
        """A file by its path, a directory with all that is below it, executables marked."""
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "a.py").write_text("a")
        script = tmp_path / "run.sh"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)

        found = workload_files({"files": ["run.sh", "src", "./src/a.py"]}, tmp_path)

        assert {f.path: f.is_executable for f in found} == {"run.sh": True, "src/a.py": False}

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "src/../../secret"])
    def test_nothing_outside_is_sent(self, tmp_path: Path, path: str) -> None:
        """A path that leads out of the YAML file's directory is refused."""
        (tmp_path / "secret").write_text("s")
        inner = tmp_path / "inner"
        (inner / "src").mkdir(parents=True)

        with pytest.raises(FileError) as caught:
            workload_files({"files": [path]}, inner)

        assert caught.value.code == "path_outside"

    def test_a_link_that_leads_out_is_refused(self, tmp_path: Path) -> None:
        """Nor does a link smuggle a file in."""
        inner = tmp_path / "inner"
        inner.mkdir()
        (tmp_path / "secret").write_text("s")
        (inner / "link").symlink_to(tmp_path / "secret")

        with pytest.raises(FileError) as caught:
            workload_files({"files": ["link"]}, inner)

        assert caught.value.code == "path_outside"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        """The error names the path and says what it is relative to."""
        with pytest.raises(FileError) as caught:
            workload_files({"files": ["train.py"]}, tmp_path)

        assert "train.py" in caught.value.message
        assert "relative" in (caught.value.hint or "")

    def test_files_must_be_a_list_of_paths(self, tmp_path: Path) -> None:
        """`files: train.py` is an easy mistake, and named."""
        with pytest.raises(FileError) as caught:
            workload_files({"files": "train.py"}, tmp_path)

        assert caught.value.code == "files_invalid"

    def test_sizes_are_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Data does not travel as files of a workload."""
        monkeypatch.setattr(spec_file, "WORKLOAD_BYTES_MAX", 3)
        (tmp_path / "a").write_text("four")

        with pytest.raises(FileError) as caught:
            workload_files({"files": ["a"]}, tmp_path)

        assert caught.value.code == "files_too_large"
