"""Training progress read from a job's own output: `step=120 of=400 loss=3.214 …` becomes a bar.

Any program that prints such lines gets it; nothing else is assumed of them.
"""

import math
import re
from collections import deque
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_LINE = re.compile(
    r"^step=(?P<step>\d{1,18}) of=(?P<of>\d{1,18}) loss=(?P<loss>[-+.\deE]+|nan|inf)\b"
)
_BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_POINTS = 24


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """One report of a training program."""

    step: int
    of: int
    loss: float


def parse_point(line: str) -> TrainingPoint | None:
    """Read a progress line; None if it is another line."""
    match = _LINE.match(line)
    if match is None:
        return None
    try:
        return TrainingPoint(int(match["step"]), int(match["of"]), float(match["loss"]))
    except ValueError:
        return None


def sparkline(values: list[float]) -> str:
    """Draw values as a line of blocks, the highest full.

    >>> sparkline([4.0, 3.0, 2.0, 1.0])
    '█▆▃▁'
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    steps = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round((value - low) / span * steps)] if math.isfinite(value) else "x"
        for value in values
    )


@dataclass
class LossHistory:
    """The losses of a run, thinned so that the line shows all of it."""

    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=4096))

    def add(self, loss: float) -> None:
        self._recent.append(loss)

    def line(self) -> str:
        values = list(self._recent)
        if len(values) > SPARKLINE_POINTS:
            last = len(values) - 1
            values = [
                values[round(i * last / (SPARKLINE_POINTS - 1))] for i in range(SPARKLINE_POINTS)
            ]
        return sparkline(values)


class TrainingBar:
    """The bar on a terminal; made when the first progress line comes."""

    def __init__(self, console: Console) -> None:
        self._losses = LossHistory()
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f} {task.fields[line]}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._task = self._progress.add_task("training", total=None, loss=math.nan, line="")
        self._progress.start()

    def show(self, point: TrainingPoint) -> None:
        self._losses.add(point.loss)
        self._progress.update(
            self._task,
            completed=point.step,
            total=point.of,
            loss=point.loss,
            line=self._losses.line(),
        )

    def stop(self) -> None:
        self._progress.stop()
