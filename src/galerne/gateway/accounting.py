"""Closes the account of an exchange: one usage record, the counters, what the client is told it cost."""

import json

from galerne.gateway.asgi import Headers
from galerne.gateway.errors import ApiError
from galerne.gateway.exchange import Exchange
from galerne.gateway.journal import Journal, JournalError
from galerne.gateway.metrics import GatewayMetrics
from galerne.gateway.recording import Outcome, TokenCountMethod, UsageRecord, encode
from galerne.gateway.routing import Router
from galerne.gateway.shipping import Shipper
from galerne.gateway.sse import Usage
from galerne.kit import money
from galerne.kit.clock import Clock

TOKENS_PER_PRICE = 1_000_000
UNWRITTEN_RECORDS_MAX = 65_536


class Accountant:
    """Writes exactly one record for each exchange that reached a replica."""

    def __init__(
        self,
        journal: Journal,
        shipper: Shipper,
        metrics: GatewayMetrics,
        router: Router,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._shipper = shipper
        self._metrics = metrics
        self._router = router
        self._clock = clock
        self._unwritten: list[
            bytes
        ] = []  # Records that the disk refused, kept until it takes them.

    @property
    def unwritten_records(self) -> int:
        return len(self._unwritten)

    def check_writable(self) -> None:
        """Refuse work that could not be accounted for. Raises ApiError 503 while the disk refuses."""
        if self._unwritten:
            raise ApiError(
                503,
                "journal_unavailable",
                "Usage cannot be recorded at the moment. Try again shortly.",
                retry_after_seconds=5,
            )

    def retry_unwritten(self) -> None:
        """Try again to write what the disk refused."""
        while self._unwritten:
            try:
                self._journal.append(self._unwritten[0])
            except JournalError:
                return
            self._unwritten.pop(0)
            self._shipper.notify()

    def record(
        self, exchange: Exchange, outcome: Outcome, usage: Usage, method: TokenCountMethod
    ) -> None:
        """Write the record unless it was written; call it before the last bytes are forwarded."""
        if exchange.recorded:
            return
        exchange.recorded = True
        exchange.outcome = outcome
        exchange.prompt_tokens = usage.prompt_tokens
        exchange.completion_tokens = usage.completion_tokens
        payload = encode(self._spell(exchange, outcome, usage, method))
        try:
            self._journal.append(payload)
            self._shipper.notify()
        except JournalError:
            # Requests in flight still end; new ones are refused, so that this stays short.
            if len(self._unwritten) < UNWRITTEN_RECORDS_MAX:
                self._unwritten.append(payload)
        self._metrics.count_tokens(exchange.model, usage.prompt_tokens, usage.completion_tokens)

    def cost_headers(self, exchange: Exchange, usage: Usage) -> Headers:
        """Spell what the request cost, for an answer that is not streamed."""
        headers = [
            (b"galerne-tokens-prompt", b"%d" % usage.prompt_tokens),
            (b"galerne-tokens-completion", b"%d" % usage.completion_tokens),
            (b"galerne-cost-nano-eur", b"%d" % self._cost_nano(exchange, usage)),
        ]
        energy = self._energy(exchange)
        if energy is not None:
            watt_hours, grams, method = energy
            headers.append((b"galerne-energy-wh", b"%.6f" % watt_hours))
            headers.append((b"galerne-energy-method", method.encode()))
            if grams is not None:
                headers.append((b"galerne-carbon-gco2e", b"%.6f" % grams))
        return headers

    def cost_extension(self, exchange: Exchange, usage: Usage) -> str:
        """Spell the same as an object, for the usage chunk of a stream."""
        cost: dict[str, object] = {"cost_nano_eur": self._cost_nano(exchange, usage)}
        if exchange.replica is not None and exchange.replica.site_id:
            cost["site"] = exchange.replica.site_id
        energy = self._energy(exchange)
        if energy is not None:
            watt_hours, grams, method = energy
            cost["energy_wh"] = round(watt_hours, 6)
            cost["energy_method"] = method
            if grams is not None:
                cost["carbon_gco2e"] = round(grams, 6)
        return json.dumps(cost)

    def _spell(
        self, exchange: Exchange, outcome: Outcome, usage: Usage, method: TokenCountMethod
    ) -> UsageRecord:
        policy, served, replica = exchange.policy, exchange.served, exchange.replica
        assert policy is not None
        assert served is not None
        assert replica is not None
        first = exchange.first_part_at
        return UsageRecord(
            id=exchange.request_id,
            key_id=policy.key_id,
            organization_id=policy.organization_id,
            project_id=served.project_id or policy.project_id,
            deployment_id=served.deployment_id,
            replica_id=replica.replica_id,
            model=served.model or served.name,
            site_id=replica.site_id,
            endpoint=exchange.endpoint,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            started_at=exchange.started_at,
            duration_ms=round(self._seconds(exchange) * 1000),
            ttft_ms=None if first is None else round((first - exchange.started_monotonic) * 1000),
            outcome=outcome,
            token_count_method=method,
            streamed=exchange.streamed,
        )

    def _seconds(self, exchange: Exchange) -> float:
        return self._clock.monotonic() - exchange.started_monotonic

    def _cost_nano(self, exchange: Exchange, usage: Usage) -> int:
        assert exchange.served is not None
        price = exchange.served.price
        cached_nano = price.cached_nano_per_million
        if cached_nano is None:
            cached_nano = price.input_nano_per_million
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        # Each rounded by itself, as the records that are billed are.
        return (
            money.rate(
                usage.prompt_tokens - cached,
                price_nano=price.input_nano_per_million,
                per=TOKENS_PER_PRICE,
            )
            + money.rate(cached, price_nano=cached_nano, per=TOKENS_PER_PRICE)
            + money.rate(
                usage.completion_tokens,
                price_nano=price.output_nano_per_million,
                per=TOKENS_PER_PRICE,
            )
        ).nano

    def _energy(self, exchange: Exchange) -> tuple[float, float | None, str] | None:
        """Estimate watt-hours and grams: the replica's power, shared among the requests on it."""
        served, replica = exchange.served, exchange.replica
        if served is None or served.energy is None or replica is None:
            return None
        model = served.energy
        sharing = (exchange.sharing + max(self._router.outstanding(replica), 1)) / 2
        watt_hours = model.watt_hours(seconds=self._seconds(exchange), sharing=sharing)
        factor = model.gco2e_per_kwh
        return watt_hours, None if factor is None else watt_hours / 1000 * factor, model.method
