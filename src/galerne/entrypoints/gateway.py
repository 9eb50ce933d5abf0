"""The LLM data plane's process: the bare ASGI gateway under uvicorn, fed from the control plane."""

from collections.abc import Sequence

from galerne.entrypoints.arguments import settings_from
from galerne.entrypoints.serving import Served, run, serve
from galerne.entrypoints.wiring import Platform, open_platform
from galerne.gateway.app import build_app
from galerne.gateway.policy import ControlPlanePolicy
from galerne.gateway.settings import GatewaySettings, uvicorn_options
from galerne.gateway.usage_sink import MeteringSink
from galerne.telemetry import configure_logging


def gateway_served(platform: Platform) -> Served:
    """Build the gateway for this installation."""
    settings = GatewaySettings(journal_directory=platform.settings.data_dir / "gateway-journal")
    app = build_app(
        settings,
        ControlPlanePolicy(platform.database, platform.runtimes, platform.pepper, platform.clock),
        MeteringSink(platform.database, platform.clock),
        platform.clock,
    )
    return Served("gateway", app, platform.settings.gateway, options=uvicorn_options(settings))


def main(argv: Sequence[str]) -> int:
    """Run `galerne gateway`."""
    settings = settings_from("galerne gateway", main.__doc__ or "", argv)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")

    async def process() -> None:
        async with open_platform(settings) as platform:
            await serve([gateway_served(platform)])

    run(process())
    return 0
