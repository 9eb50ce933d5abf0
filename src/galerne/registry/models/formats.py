"""Which format a set of files is. Pure."""

from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.models.errors import ModelFormatUnknown
from galerne.registry.models.models import ModelFormat


def detect_format(manifest: Manifest) -> ModelFormat:
    """Say what the files are. Raises `ModelFormatUnknown`."""
    gguf = manifest.with_suffix(".gguf")
    safetensors = manifest.with_suffix(".safetensors")
    if len(gguf) == 1 and not safetensors:
        return ModelFormat.GGUF
    if safetensors and not gguf and manifest.find("config.json") is not None:
        return ModelFormat.SAFETENSORS
    raise ModelFormatUnknown(
        f"found {len(gguf)} .gguf and {len(safetensors)} .safetensors files among"
        f" {len(manifest.files)}",
        hint="a model is one .gguf file, or .safetensors files beside a config.json",
    )
