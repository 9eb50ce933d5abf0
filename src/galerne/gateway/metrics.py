"""The gateway's own counters: plain integers on the hot path, spelled for Prometheus when asked."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

SECONDS_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip


class Histogram:
    """Counts of values by upper bound."""

    def __init__(self, bounds: tuple[float, ...] = SECONDS_BUCKETS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> list[tuple[str, float]]:
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(names, (float(n) for n in accumulate(self._counts)), strict=True))

    @property
    def total(self) -> float:
        return self._sum


class GatewayMetrics(Collector):
    """Everything counted; `gauges` are read when the page is asked for."""

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float | None]]]) -> None:
        self.requests: dict[tuple[str, str], int] = {}  # By endpoint and outcome or error code.
        self.tokens: dict[tuple[str, str], int] = {}  # By model and kind.
        self.retries = 0
        self.first_token_seconds = Histogram()
        self.request_seconds = Histogram()
        self._gauges = gauges
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_request(self, endpoint: str, outcome: str) -> None:
        key = (endpoint, outcome)
        self.requests[key] = self.requests.get(key, 0) + 1

    def count_tokens(self, model: str, prompt: int, completion: int) -> None:
        tokens = self.tokens
        key = (model, "prompt")
        tokens[key] = tokens.get(key, 0) + prompt
        key = (model, "completion")
        tokens[key] = tokens.get(key, 0) + completion

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        yield _counter(
            "requests", "Requests by how they ended", ("endpoint", "outcome"), self.requests
        )
        yield _counter("tokens", "Tokens by model and kind", ("model", "kind"), self.tokens)
        yield CounterMetricFamily(
            "galerne_gateway_retries", "Requests sent to a second replica", value=self.retries
        )
        yield from self._histograms()
        for name, (documentation, read) in self._gauges.items():
            value = read()
            if value is not None:
                yield GaugeMetricFamily(f"galerne_gateway_{name}", documentation, value=value)

    def _histograms(self) -> Iterator[Metric]:
        for name, documentation, histogram in (
            ("first_token_seconds", "From the request to the first part", self.first_token_seconds),
            ("request_seconds", "From the request to the end", self.request_seconds),
        ):
            family = HistogramMetricFamily(f"galerne_gateway_{name}", documentation)
            family.add_metric([], histogram.buckets(), histogram.total)
            yield family


def _counter(
    name: str, documentation: str, labels: tuple[str, str], values: Mapping[tuple[str, str], int]
) -> Metric:
    family = CounterMetricFamily(f"galerne_gateway_{name}", documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
