"""What a report says of the steps that a classifier of sequences has read."""

import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from nabi import DNAClassifier, SeriesClassifier
from nabi.data import split_genes
from nabi.explain import animation_of, report
from nabi.explain._animation._scenes import scene_of
from nabi.explain._report._steps import contributions, watched_reading

from ..models.sequences.toy import directions
from .test_animation import facts


@pytest.fixture(scope="module")
def model() -> SeriesClassifier:
    found = SeriesClassifier(units=4, epochs=3, batch_size=16, networks=2)
    found.fit(*directions(40), verbose=0)
    return found


def test_contributions_are_the_derivative_of_the_log_odds(model: SeriesClassifier) -> None:
    series = directions(1, seed=5)[0][0].astype(np.float64)
    with watched_reading(model) as reading:
        model.predict([series])
    found = contributions(model, reading, "up")
    assert found is not None
    assert len(found) == len(series)
    assert np.abs(found).max() > 0
    place = model.labels.names.index("up")
    x, lengths = reading[0]

    def log_odds(member: torch.nn.Module, step: int, share: float) -> float:
        def towards_the_mean(_: object, __: object, output: tuple[torch.Tensor, torch.Tensor]) -> object:
            vectors = output[0].clone()
            vectors[:, step] += share * (vectors[:, step] - output[0].mean(1))
            return vectors, output[1]

        hook = member.front.register_forward_hook(towards_the_mean)
        with torch.no_grad():
            logits = member(x, lengths)[0][0].double()
        hook.remove()
        return float(logits[place] - logits[1 - place])

    members = list(model.network.members)
    for step in range(len(series)):
        slopes = [(log_odds(one, step, 0.02) - log_odds(one, step, -0.02)) / 0.04 for one in members]
        assert found[step] == pytest.approx(np.mean(slopes), abs=1e-3)


def test_the_first_series_is_shown_and_not_the_shortest(model: SeriesClassifier, tmp_path: Path) -> None:
    short, *_, long = sorted(directions(8, seed=5)[0], key=len)
    assert len(long) > len(short)
    for series in ([long, short], [short, long]):
        scene = scene_of(model, series)
        assert scene.calls[0].inputs.shape[:2] == (1, len(series[0]))
    page = animation_of(model, [long, short], tmp_path / "a.html")
    assert len(facts(page)["labels"]) == len(long)


def test_a_label_for_every_base_is_shown_in_stretches(tmp_path: Path) -> None:
    genes = split_genes().make(20, 30, seed=1)
    model = DNAClassifier(per_base=True, units=4, words="bases", convolutions=None, epochs=1)
    model.fit(genes.sequences, genes.labels, verbose=0)
    read = genes.sequences[0]
    page = report(model, tmp_path / "bases.html", data=read, language="ko").read_text(encoding="utf-8")
    cell = r"<t[dh][^>]*>([^<]*)</t[dh]>"
    rows = re.findall(rf"<tr>\s*{cell}\s*{cell}\s*{cell}\s*</tr>", page.partition("첫 단계")[2])
    stretches, first = [], 1
    for label, bases in groupby(model.predict([read])[0].label):
        last = first + len(list(bases)) - 1
        stretches.append((label, str(first), str(last)))
        first = last + 1
    assert first == 31
    assert rows[: len(stretches)] == stretches
