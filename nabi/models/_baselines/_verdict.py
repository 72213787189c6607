"""What a network adds to simple models, in words."""

from collections.abc import Mapping

__all__ = ["verdict"]


def verdict(
    figure: float,
    baselines: Mapping[str, float],
    *,
    measure: str,
    lower_is_better: bool = False,
    margin: float = 0.0,
    written: str = ".3f",
) -> str:
    """Say whether the network is better than the best of the simple models.

    Args:
        figure: of the network.
        baselines: the figure of each simple model by its name, measured on the same samples.
        measure: the name of the figure, such as "accuracy".
        lower_is_better: whether the figure is an error.
        margin: a difference up to this is called none, for instance the standard error of the figures.
        written: the format of the figures.

    >>> verdict(0.81, {"majority": 0.5, "logistic regression": 0.80}, measure="accuracy", margin=0.02)
    'No gain over logistic regression: accuracy 0.810 against 0.800. The simple model is as good here.'
    """
    best = (min if lower_is_better else max)(baselines, key=lambda name: baselines[name])
    gain = (baselines[best] - figure) if lower_is_better else (figure - baselines[best])
    against = f"{measure} {figure:{written}} against {baselines[best]:{written}}"
    if gain > margin:
        return f"Better than {best}: {against}."
    if gain < -margin:
        return f"Worse than {best}: {against}. Use the simple model for this data."
    return f"No gain over {best}: {against}. The simple model is as good here."
