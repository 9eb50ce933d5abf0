"""Installations for end-to-end tests: one for each module's harmless tests, and one for each that kills."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.installation import Installation, Tenant


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation of the test's own, on which nothing runs yet."""
    made = Installation(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running `galerne up` for all tests of a module that stop nothing."""
    made = Installation(tmp_path_factory.mktemp("up"))
    try:
        made.up()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def tenant(shared_installation: Installation) -> Tenant:
    """A customer of the shared installation."""
    return Tenant(shared_installation)
