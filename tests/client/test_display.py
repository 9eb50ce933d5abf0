"""What quantities and training progress look like."""

import doctest
import io
import math

import pytest
from rich.console import Console

from galerne_client.cli import training_progress, units
from galerne_client.cli.following import OutputWriter
from galerne_client.cli.terminal import Terminal
from galerne_client.cli.training_progress import (
    SPARKLINE_POINTS,
    LossHistory,
    TrainingPoint,
    parse_point,
    sparkline,
)
from galerne_client.resources.workloads import LogChunk


class TestUnits:
    @pytest.mark.parametrize("module", [units, training_progress])
    def test_examples_hold(self, module: object) -> None:
        """The examples in the docstrings are what the functions return."""
        assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("nano", "text"),
        [
            (0, "0.00 €"),
            (1, "0.000000001 €"),
            (123_456, "0.000123 €"),
            (12_345_678, "0.0123 €"),
            (999_999_999, "1.00 €"),
            (1_005_000_000, "1.01 €"),
            (1_234_567_890_000_000, "1,234,567.89 €"),
            (-2_500_000_000, "-2.50 €"),
        ],
    )
    def test_euro_never_pass_through_a_float(self, nano: int, text: str) -> None:
        """Amounts are rounded from integers, half up, and never to nothing."""
        assert units.euro(nano) == text

    def test_a_label_of_a_zone_is_named_by_it(self) -> None:
        """The thirty countries of the EEA are not listed one by one."""
        countries = [f"{letter}{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] + ["AB"] * 4

        assert units.label({"residency": countries}) == "EEA"


class TestTrainingProgress:
    def test_a_progress_line_is_read(self) -> None:
        """Step, total and loss are read; what follows does not matter."""
        line = "step=120 of=400 loss=3.214 tokens=61440 tokens_per_second=812\n"

        assert parse_point(line) == TrainingPoint(120, 400, 3.214)

    @pytest.mark.parametrize(
        "line",
        [
            "epoch 1",
            "step=1 loss=2",
            "xstep=1 of=2 loss=3",
            "step=1 of=2 loss=1.2.3",
            "step=a of=2 loss=3",
        ],
    )
    def test_other_lines_are_left_alone(self, line: str) -> None:
        """Anything else is output like any other."""
        assert parse_point(line) is None

    def test_a_diverged_loss_is_still_a_point(self) -> None:
        """nan is shown, not hidden, and does not break the line."""
        point = parse_point("step=1 of=2 loss=nan")

        assert point is not None
        assert math.isnan(point.loss)
        assert sparkline([1.0, math.nan, 0.0]) == "█x▁"

    def test_the_line_shows_the_whole_run(self) -> None:
        """A long history is thinned from its first to its last value."""
        history = LossHistory()
        for step in range(1000):
            history.add(1000.0 - step)

        assert len(history.line()) == SPARKLINE_POINTS
        assert history.line()[0] == "█"
        assert history.line()[-1] == "▁"


class TestOutputWriter:
    def test_without_a_terminal_lines_pass_unchanged(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """In a pipe, progress lines are output too; split characters and lines are joined again."""
        writer = OutputWriter(Terminal({}))
        data = "step=1 of=2 loss=3.0\nété\n".encode()

        for position in range(len(data)):
            writer.write(LogChunk(data[position : position + 1], position + 1, is_complete=False))
        writer.close()

        assert capsys.readouterr().out == data.decode()

    def test_on_a_terminal_progress_becomes_a_bar(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Progress lines move the bar, other lines are still output."""
        terminal = Terminal({})
        screen = io.StringIO()
        terminal.err = Console(file=screen, force_terminal=True, width=100)
        writer = OutputWriter(terminal)

        writer.write(
            LogChunk(b"start\nstep=1 of=2 loss=3.5\nstep=2 of=2 loss=2.5\n", 0, is_complete=True)
        )
        writer.close()

        assert capsys.readouterr().out == "start\n"
        assert "2/2" in screen.getvalue()
        assert "2.500" in screen.getvalue()

    def test_dropped_output_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What the bound on a log has dropped leaves a mark."""
        OutputWriter(Terminal({})).write(LogChunk(b"", 10, is_complete=False, dropped_bytes=10))

        assert "10 bytes" in capsys.readouterr().err
