"""What a forecaster can be told."""

from dataclasses import dataclass

from nabi.errors import ArgumentError
from nabi.models._task import _shared_settings as shared
from nabi.models._task._settings import AdamWSettings, Option, choice, flag, setting, whole

__all__ = ["ForecastSettings"]

_PANEL = "Observations to forecast"


@dataclass(frozen=True)
class ForecastSettings(AdamWSettings):
    """The settings of a `Forecaster`, which says what each means; `fit` chooses what is open."""

    cell: str = shared.cell("gru")
    units: int = shared.units(32)
    layers: int = shared.layers()
    networks: int = setting(
        3,
        whole(),
        "how many networks are trained, whose forecasts are averaged.",
        Option(_PANEL, "Number of networks that are averaged."),
    )
    season: int | None = setting(
        None,
        whole(optional=True),
        "steps of a season, 1 for none; found in the data by default.",
        Option(_PANEL, "Steps of a season; 1 for none.", "found in the data"),
    )
    window: int | None = setting(
        None,
        whole(optional=True),
        "past steps that the network sees at once, beside what its state remembers; chosen from the length "
        "of the series by default.",
        Option(_PANEL, "Past steps that the network sees at once.", "chosen from the data"),
    )
    scaling: str = setting(
        "auto",
        choice("auto", "level", "deviation"),
        'what values are divided by: "level", the present level of the series, so that errors count in per '
        'cent; or "deviation", the standard deviation of the series so far, so that errors count as they '
        "are. By default the level where there are at least 20 series without negative values.",
        Option(_PANEL, "What values are divided by: auto, level or deviation."),
    )
    fallback: bool = setting(
        True,
        flag(),
        "whether the best baseline forecasts where the network has no skill over it; False always uses the "
        "network.",
        Option(
            _PANEL, "Whether the best baseline forecasts where the network has no skill.",
            names="--fallback/--no-fallback",
        ),
    )  # fmt: skip
    refit: bool = setting(
        True,
        flag(),
        "whether the networks that forecast learn from the held-out end of the series as well; those that "
        "are measured never do. False halves the time of training.",
        Option(_PANEL, "Learn from the held-out end, too, for forecasts.", names="--refit/--no-refit"),
    )
    dropout: float = shared.dropout(0.1, "share of the features left out in training before the last layer.")
    batch_size: int = shared.batch_size(32, "series, or parts of long series, per step of training.")
    epochs: int | None = shared.epochs(
        None, "times that everything is gone through; chosen from its size by default."
    )
    patience: int | None = shared.patience()
    learning_rate: float = shared.learning_rate(
        5e-3, "of AdamW, at its highest; it falls to nearly nothing until the end."
    )
    warmup: int = shared.warmup(20)
    clipnorm: float = shared.clipnorm()
    weight_decay: float = shared.weight_decay()
    seed: int = shared.seed()

    def check_together(self) -> None:
        """Refuse a season longer than what can be remembered."""
        if self.season is not None and self.season > 10_000:
            raise ArgumentError(f"season: expected at most 10000 steps, got {self.season}")
