"""How a model is served: which runtime reads it, and the request that runtime's command is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galerne.inference.deployments.errors import MemoryTooSmall, NoRuntime
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne.kit.units import format_bytes
from galerne.registry.models.service import ResolvedModel
from galerne.runtimes.base import Runtime, ServeRequest

HOST = "127.0.0.1"


def choose_runtime(
    runtimes: Mapping[str, Runtime], spec: DeploymentSpec, model: ResolvedModel
) -> Runtime:
    """Return the runtime that was named, or the first that reads the weights. Raises `NoRuntime`."""
    if spec.runtime is not None and spec.runtime not in runtimes:
        raise NoRuntime(
            f"there is no runtime {spec.runtime!r} here", hint=f"here are: {', '.join(runtimes)}"
        )
    offered = [runtimes[spec.runtime]] if spec.runtime else list(runtimes.values())
    for runtime in offered:
        if model.format.value in runtime.formats:
            return runtime
    raise NoRuntime(
        f"{model.name} has {model.format.value} weights, which {', '.join(r.name for r in offered)}"
        " cannot read",
        hint="convert the model, or ask the operator for a runtime that reads it",
    )


def serve_request(
    *, model: Mapping[str, Any], name: str, spec: DeploymentSpec, port: int
) -> ServeRequest:
    return ServeRequest(
        model_path=Path(model["path"]),
        model_name=name,
        host=HOST,
        port=port,
        context_tokens=spec.context_tokens,
        parallel=spec.parallel,
        threads=max(1, int(spec.resources.cpu)),
    )


def require_memory(runtime: Runtime, request: ServeRequest, spec: DeploymentSpec) -> None:
    """Raise `MemoryTooSmall` before anything starts, rather than have the engine kill it later."""
    needed = runtime.command(request).memory_bytes
    if needed > spec.resources.memory:
        raise MemoryTooSmall(
            f"{request.model_name} needs about {format_bytes(needed)} a replica;"
            f" `resources.memory` is {format_bytes(spec.resources.memory)}",
            hint=f"ask for {format_bytes(needed)}, or lower `context_tokens` or `parallel`",
        )
