"""`POST /v1/chat/completions`: the fields are this family's own, the life of a request is `inference`'s."""

from galerne.gateway.asgi import Application
from galerne.gateway.dialects.fields import CHAT
from galerne.gateway.inference import InferenceEndpoint
from galerne.gateway.parts import Parts


def routes(parts: Parts) -> dict[str, dict[str, Application]]:
    """Map path and method to what answers."""
    return {"/v1/chat/completions": {"POST": InferenceEndpoint(CHAT, parts)}}
