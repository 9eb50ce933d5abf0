"""What the training program says, and how far along it is; no torch in here.

One line per event on standard output, `key=value` separated by spaces, for people and for
programs. Writing these lines at the right moment is left to `train.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, a number of seconds, or whichever ends first."""

    steps: int
    seconds: float | None = None

    def done_fraction(self, step: int, elapsed_seconds: float) -> float:
        """Share of the budget that is used, from 0 to 1."""
        by_time = elapsed_seconds / self.seconds if self.seconds else 0.0
        return min(max(step / self.steps, by_time), 1.0)

    def steps_expected(self, step: int, elapsed_seconds: float) -> int:
        """Estimate the steps at the speed so far; exact where there is no time budget."""
        if not self.seconds or not step or elapsed_seconds <= 0:
            return self.steps
        return min(self.steps, max(step, round(step * self.seconds / elapsed_seconds)))


@dataclass(frozen=True)
class Schedule:
    """Learning rate over the budget: linear warm-up, then half a cosine to a small rest."""

    warmup_fraction: float
    final_learning_rate_fraction: float

    def rate(self, done_fraction: float) -> float:
        """Factor on the learning rate when this share of the budget is used."""
        if done_fraction < self.warmup_fraction:
            return max(done_fraction / self.warmup_fraction, 0.01)
        rest = (done_fraction - self.warmup_fraction) / (1 - self.warmup_fraction)
        cosine = (1 + math.cos(math.pi * min(rest, 1.0))) / 2
        low = self.final_learning_rate_fraction
        return low + (1 - low) * cosine


@dataclass(frozen=True)
class Point:
    """Where the training is; counted over all attempts, so that a resumed one goes on."""

    step: int
    tokens: int
    elapsed_seconds: float


def progress_line(point: Point, *, of: int, loss: float, tokens_per_second: float) -> str:
    return (
        f"step={point.step} of={of} loss={loss:.3f} tokens={point.tokens}"
        f" tokens_per_second={tokens_per_second:.0f} elapsed_seconds={point.elapsed_seconds:.1f}"
    )


def result_line(
    point: Point,
    losses: Mapping[str, float],
    *,
    parameters: int,
    checkpoint: str,
) -> str:
    perplexities = " ".join(
        f"perplexity_{code}={math.exp(loss):.1f}" for code, loss in sorted(losses.items())
    )
    return (
        f"result loss={mean(losses):.3f} {perplexities} parameters={parameters}"
        f" tokens={point.tokens} checkpoint={checkpoint}"
    )


def mean(losses: Mapping[str, float]) -> float:
    return sum(losses.values()) / len(losses)


def flops(parameters: int, tokens: int) -> int:
    """Estimate by the usual rule: six floating-point operations per parameter and token."""
    return 6 * parameters * tokens
