"""How far numbers that were estimated are from the right ones, on rows that were not trained on."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError, ShapeError
from nabi.models._baselines._verdict import verdict
from nabi.models._regressor._report_picture import report_picture
from nabi.models._task._described import check_fields, reading_report

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["NumberFigures", "RegressionReport"]

_POINTS = 1000  # of the picture
_DRAWS = 200

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NumberFigures:
    """Figures of a simpler model on the same rows, as those of the `RegressionReport`."""

    name: str
    mae: float
    rmse: float
    r2: float


@dataclass(frozen=True)
class RegressionReport:
    """Figures of a regressor on held-out rows, in the unit of the numbers; computed by torchmetrics."""

    rows: int
    mae: float
    """Mean absolute error."""
    rmse: float
    """Root of the mean squared error, in which large errors count more."""
    r2: float
    """1 minus the squared error as a share of that of the rows' own mean: 1 is all right, 0 is the mean."""
    truth: tuple[float, ...]
    """Right numbers of up to 1,000 rows, drawn at random; the picture shows them."""
    said: tuple[float, ...]
    """What was estimated for these rows."""
    part: str = "held-out rows"
    """Which rows these are."""
    interrupted: bool = False
    """Whether the training was ended by Ctrl-C."""
    baselines: tuple[NumberFigures, ...] = ()
    """Simpler models on the same rows: words and pairs of words, mean and median, the network by itself."""
    verdict: str = ""
    """Whether the regressor is better than the first of them, in a sentence."""

    @classmethod
    def measure(
        cls,
        truth: Floats,
        said: Floats,
        beside: Mapping[str, Floats],
        *,
        part: str = "held-out rows",
        interrupted: bool = False,
    ) -> Self:
        """Compare right numbers `[N]` with those that a model says.

        Args:
            truth: the right numbers.
            said: what the model says.
            beside: what simpler models say, by their names; the verdict is about the first.
            part: which rows these are.
            interrupted: whether the training was ended early by the user.

        Raises:
            ArgumentError: for no rows at all.
            ShapeError: for arrays that don't fit each other.

        >>> report = RegressionReport.measure(np.arange(4.0), np.arange(4.0) + 1, {"mean": np.full(4, 1.5)})
        >>> report.mae, report.rmse, round(report.r2, 3)
        (1.0, 1.0, 0.2)
        """
        if not len(truth):
            raise ArgumentError("truth: there are no rows to measure on")
        for name, values in (("said", said), *beside.items()):
            if values.shape != truth.shape:
                raise ShapeError(f"{name}: expected the shape {truth.shape}, got {values.shape}")
        rows = np.sort(np.random.default_rng(0).permutation(len(truth))[:_POINTS])
        own = _figures(truth, said)
        baselines = tuple(NumberFigures(name, *_figures(truth, values)) for name, values in beside.items())
        told = ""
        if baselines:
            first = baselines[0]
            told = verdict(
                own[1],
                {first.name: first.rmse},
                measure="RMSE",
                lower_is_better=True,
                margin=_margin(truth, said, beside[first.name]),
                written=".4g",
            )
        return cls(
            len(truth),
            *own,
            tuple(truth[rows].tolist()),
            tuple(said[rows].tolist()),
            part,
            interrupted,
            baselines,
            told,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> Self:
        """Make the report that `to_dict` described.

        Raises:
            ArgumentError: for something else.
        """
        with reading_report():
            parts = dict(described)
            for figures in parts["baselines"]:
                check_fields(NumberFigures, figures, "baselines")
            parts["baselines"] = tuple(NumberFigures(**figures) for figures in parts["baselines"])
            check_fields(cls, parts, "report")
            parts["truth"], parts["said"] = tuple(parts["truth"]), tuple(parts["said"])
            if len(parts["truth"]) != len(parts["said"]):
                raise ValueError("it has not as many estimates as right numbers")
            return cls(**parts)

    def picture(self, path: str | os.PathLike[str], title: str | None = None) -> Path:
        """Draw what was estimated against what is right, a point for each row.

        Args:
            path: the file to write, .png or .svg.
            title: above it; the figures by default.

        Raises:
            ArgumentError: for another suffix.
            OutputError: if the file cannot be written.
        """
        if title is None:
            title = self._line
            for one in self.baselines:
                title += f"\n{one.name}: MAE {one.mae:.4g}, RMSE {one.rmse:.4g}, R² {_share(one.r2)}"
        return report_picture(path, title, self.truth, self.said, self.rows)

    @property
    def _line(self) -> str:
        return f"{self.rows:,} {self.part}: MAE {self.mae:.4g}, RMSE {self.rmse:.4g}, R² {_share(self.r2)}"

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield what rich shows: the figures, and those of the simpler models."""
        from rich.table import Table
        from rich.text import Text

        yield Text(self._line)
        if not self.baselines:
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("on the same rows", overflow="fold")
        for head in ("MAE", "RMSE", "R²"):
            table.add_column(head, justify="right", no_wrap=True)
        own = NumberFigures("this regressor", self.mae, self.rmse, self.r2)
        for one in (own, *self.baselines):
            figures = f"{one.mae:.4g}", f"{one.rmse:.4g}", _share(one.r2)
            table.add_row(Text(one.name), *figures, style="bold" if one is own else "")
        yield Text()
        yield table
        yield Text(self.verdict)

    def __str__(self) -> str:
        """Return the same as plain text."""
        from rich.console import Console

        console = Console(width=100, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()


def _share(value: float) -> str:
    """Return R² with three digits, and nothing as 0.000 on both sides of it."""
    return f"{round(value, 3) + 0.0:.3f}"


def _figures(truth: Floats, said: Floats) -> tuple[float, float, float]:
    """Return mean absolute error, root of the mean squared error, and the share of the variance explained."""
    import torch
    from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score

    right, given = torch.from_numpy(truth.copy()), torch.from_numpy(said.copy())
    # A share of no variance is none.
    varies = len(truth) > 1 and float(right.std()) > 0
    return (
        float(mean_absolute_error(given, right)),
        float(mean_squared_error(given, right, squared=False)),
        float(r2_score(given, right)) if varies else 0.0,
    )


def _margin(truth: Floats, one: Floats, other: Floats) -> float:
    """Return the standard error of the difference of two RMSE on the same rows, by drawing rows anew."""
    draw = np.random.default_rng(0)
    errors = np.stack([(one - truth) ** 2, (other - truth) ** 2], 1)
    gaps = []
    for _ in range(_DRAWS):
        first, second = np.sqrt(errors[draw.integers(len(truth), size=len(truth))].mean(0))
        gaps.append(first - second)
    return float(np.std(gaps))
