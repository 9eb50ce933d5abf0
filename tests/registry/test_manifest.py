"""Manifests: which lists of files are a directory."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.errors import TreeTooLarge
from galerne.integrations.objectstore.trees import FILES_MAX
from galerne.registry.artifacts.errors import ManifestInvalid
from galerne.registry.artifacts.manifest import Manifest

DIGEST = "0" * 64

untimed = settings(deadline=None)  # The machine may be busy; no claim here is about time.


def manifest(*paths: str) -> Manifest:
    return Manifest.of(StoredFile(path, DIGEST, 1) for path in paths)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "..",
        "a//b",
        "./a",
        "a/.",
        "a/",
        ".",
        "a\0b",
        "a\nb",
        "a\x7f",
        "\ud800",
        "x" * 256,
        "é" * 128,
        "a/" * 500 + "a",
    ],
)
def test_paths_stay_inside(path: str) -> None:
    """A path that leaves the directory, or that no file system takes, is refused."""
    with pytest.raises(ManifestInvalid):
        manifest(path)


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_paths_fit_together(paths: tuple[str, ...]) -> None:
    """No path is there twice, and none is both a file and a directory."""
    for order in permutations(paths):
        with pytest.raises(ManifestInvalid):
            manifest(*order)


@pytest.mark.parametrize(
    "file",
    [
        StoredFile("a", "0" * 63, 1),
        StoredFile("a", "A" * 64, 1),
        StoredFile("a", DIGEST + "\n", 1),
        StoredFile("a", DIGEST, -1),
        StoredFile("a", DIGEST, 2**60),
    ],
)
def test_contents_are_named_by_digest_and_size(file: StoredFile) -> None:
    """A digest that is none, or a size that cannot be, is refused."""
    with pytest.raises(ManifestInvalid):
        Manifest.of([file])


def test_files_are_bounded() -> None:
    """One file more than the limit is refused."""
    assert len(manifest(*map(str, range(FILES_MAX))).files) == FILES_MAX
    with pytest.raises(TreeTooLarge):
        manifest(*map(str, range(FILES_MAX + 1)))


@untimed
@given(st.sets(st.text("abé", min_size=1, max_size=5)))
def test_the_digest_names_the_tree(paths: set[str]) -> None:
    """Equal directories have one digest in whatever order they are listed, and JSON keeps it."""
    made = manifest(*sorted(paths))
    assert manifest(*sorted(paths, reverse=True)).digest == made.digest
    assert Manifest.from_json(made.as_json()) == made


def test_every_fact_is_in_the_digest() -> None:
    """Another path, content, size or mode is another tree."""
    files = [
        StoredFile("a", DIGEST, 1),
        StoredFile("b", DIGEST, 1),
        StoredFile("a", "1" * 64, 1),
        StoredFile("a", DIGEST, 2),
        StoredFile("a", DIGEST, 1, executable=True),
    ]
    assert len({Manifest.of([file]).digest for file in files}) == len(files)
