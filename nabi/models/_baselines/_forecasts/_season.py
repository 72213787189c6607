"""Seasons of a series: whether there is one, how long it is, and how it is taken out."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["autocorrelations", "is_seasonal", "season_length", "seasonal_indices"]

Numbers = npt.NDArray[np.float64]

_NINETY_PERCENT = 1.645
_SEASONS_NEEDED = 3


def autocorrelations(target: Numbers, lags: int) -> Numbers:
    """Return the autocorrelations at lags 0 to `lags`; missing values take no part.

    >>> autocorrelations(np.array([1.0, -1.0, 1.0, -1.0]), 2).round(2).tolist()
    [1.0, -0.75, 0.5]
    """
    there = ~np.isnan(target)
    centred = np.where(there, target - np.nanmean(target), 0.0)
    # By the Fourier transform: a series may have tens of thousands of values.
    size = 1 << (len(target) + lags).bit_length()
    products = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[: lags + 1]
    pairs = np.fft.irfft(np.abs(np.fft.rfft(there.astype(np.float64), size)) ** 2, size)[: lags + 1]
    # With gaps fewer products are summed than the length of the series would have.
    expected = (len(target) - np.arange(lags + 1)).clip(1)
    products = products * expected / pairs.round().clip(1)
    variance = products[0]
    if variance <= 1e-12 * max(float(np.nanmax(np.abs(target))) ** 2, 1e-300) * len(target):
        return np.concatenate([[1.0], np.zeros(lags)])
    return np.asarray(products / variance)


def is_seasonal(target: Numbers, season: int) -> bool:
    """Say whether the autocorrelation at the season is positive with 90 % confidence.

    The test of the M3 and M4 competitions before a series is deseasonalised (Bartlett's standard error);
    series of fewer than three seasons fail it.

    >>> is_seasonal(np.tile([1.0, 2.0, 6.0, 3.0], 6), 4), is_seasonal(np.arange(24.0), 4)
    (True, False)
    """
    if season < 2 or len(target) < _SEASONS_NEEDED * season:
        return False
    found = autocorrelations(target, season)
    error = np.sqrt((1 + 2 * (found[1:season] ** 2).sum()) / len(target))
    return bool(found[season] > _NINETY_PERCENT * error)


def season_length(target: Numbers, candidates: Sequence[int]) -> int:
    """Return the season length among the candidates that repeats best; 1 if none does.

    A season passes the test of `is_seasonal`, and values one season apart are more alike than values half a
    season nearer or farther: a slow series is like itself at any short distance.

    >>> days = np.tile([0.0, 1.0, 2.0, 8.0, 2.0, 1.0, 0.0], 20)
    >>> season_length(days, (7, 30)), season_length(np.arange(140.0), (7, 30))
    (7, 1)
    """
    best, length = 0.0, 1
    for season in candidates:
        if not is_seasonal(target, season):
            continue
        farther = season + season // 2
        if farther >= len(target):
            continue
        found = autocorrelations(target, farther)
        above = found[season] - max(found[season - season // 2], found[farther])
        if above > 0 and found[season] > best:
            best, length = float(found[season]), season
    return length


def seasonal_indices(target: Numbers, season: int, *, multiplicative: bool) -> Numbers:
    """Return the indices of classical decomposition: `[season]`, for the first step of the series first.

    Each value is compared with the centred moving average over a season; the index is the mean of these
    ratios (or differences), missing values left out. Ratios have the mean 1, differences the mean 0.

    >>> seasonal_indices(np.tile([1.0, 3.0], 6), 2, multiplicative=True).tolist()
    [0.5, 1.5]
    """
    level = _moving_average(target, season)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = target / level if multiplicative else target - level
    parts[~np.isfinite(parts)] = np.nan
    padded = np.full(-(-len(parts) // season) * season, np.nan)
    padded[: len(parts)] = parts
    by_place = padded.reshape(-1, season)
    counts = (~np.isnan(by_place)).sum(0)
    neutral = 1.0 if multiplicative else 0.0
    means = np.where(counts > 0, np.nansum(by_place, 0) / counts.clip(1), neutral)
    if multiplicative:
        return np.asarray((means / means.mean()).clip(0.01))
    return np.asarray(means - means.mean())


def _moving_average(target: Numbers, season: int) -> Numbers:
    """Return the centred average over a season, NaN where it does not fit; missing values take no part."""
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5
    there = ~np.isnan(target)
    total = np.convolve(np.where(there, target, 0.0), weights, "valid")
    count = np.convolve(there, weights, "valid")
    level = np.full(len(target), np.nan)
    half = len(weights) // 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # A season with large gaps has no average that could be trusted.
        level[half : half + len(total)] = np.where(count >= 0.7 * season, total / count, np.nan)
    return level
