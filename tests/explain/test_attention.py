"""Attention as a picture and in the terminal."""

import io
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from nabi.errors import ArgumentError, OutputError, ShapeError
from nabi.explain import attention_picture, attention_text


def aligned(source: str, target: str, weights: object = None) -> SimpleNamespace:
    sources, targets = tuple(source.split()), tuple(target.split())
    if weights is None:
        weights = torch.eye(len(sources))[torch.arange(len(targets)) % len(sources)]
    return SimpleNamespace(source=sources, target=targets, weights=weights)


DOG = aligned("▁A ▁dog ▁runn ing .", "▁Ein ▁Hund ▁läuft .", [[0, 0.05, 0, 0.95, 0]] * 4)


@pytest.mark.parametrize("pieces", [1, 5, 40])
def test_pictures_grow_with_the_pieces_and_stay_readable(tmp_path: Path, pieces: int) -> None:
    attention = aligned("▁word " * pieces, "▁Wort " * pieces)
    path = attention_picture(attention, tmp_path / "seen.png", title="a title")
    with Image.open(path) as image:
        width, height = (side / 150 for side in image.size)  # inches
        dark = np.asarray(image.convert("RGB")).astype(int)
    # A cell is at least as wide as its letters are high, and the picture is no wider than a page.
    assert 0.21 * pieces < width < 0.6 * pieces + 3
    assert 0.21 * pieces < height < 0.6 * pieces + 3
    # The diagonal is dark blue: one cell of each row.
    blue = (dark[..., 2] > 90) & (dark[..., 2] < 120) & (dark[..., 0] < 30)
    cells = blue.sum() / 150**2
    assert 0.5 * pieces * 0.21**2 < cells < pieces * 0.4**2 + 0.1


def test_a_picture_says_its_pieces(tmp_path: Path) -> None:
    path = attention_picture(DOG, tmp_path / "deep" / "seen.svg", title="$x$ <dog>")
    written = path.read_text(encoding="utf-8")
    ElementTree.fromstring(written)
    for name in ("Ein", "Hund", "läuft", "dog", "runn", "‑ing"):
        assert f">{name}<" in written or f"<!-- {name} -->" in written, name
    assert "▁" not in written.partition("</metadata>")[2]


def test_hangul_is_written_or_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nabi.explain import _attention
    from nabi.targets.picture import Fonts

    attention = aligned("▁I ▁go .", "▁나는 ▁간다 .")
    monkeypatch.setattr(
        _attention,
        "fonts_for",
        lambda texts: Fonts(("DejaVu Sans",), frozenset("나는간다") & set("".join(texts))),
    )
    written = attention_picture(attention, tmp_path / "seen.svg").read_text(encoding="utf-8")
    assert "naneun" in written
    assert "spelt" in written


def test_the_terminal_shows_where_it_looked() -> None:
    console = Console(width=90, record=True, file=io.StringIO())
    console.print(attention_text(DOG))
    lines = console.export_text().splitlines()
    assert lines[1].split() == ["Ein", "|", "█", "|", "‑ing", "0.95"]
    assert len(lines) == 5


def test_pieces_without_marks_are_shown_as_they_are() -> None:
    console = Console(width=90, record=True, file=io.StringIO())
    console.print(attention_text(aligned("a b", "x y")))
    assert "‑" not in console.export_text()


@pytest.mark.parametrize(
    ("attention", "error", "message"),
    [
        (
            aligned("a b", "x", np.ones((2, 1))),
            ShapeError,
            r"expected weights of shape \[1, 2\], got \[2, 1\]",
        ),
        (aligned("", "", np.ones((0, 0))), ArgumentError, "expected pieces to show, got none"),
    ],
)
def test_what_cannot_be_shown(tmp_path: Path, attention: SimpleNamespace, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        attention_picture(attention, tmp_path / "seen.png")
    with pytest.raises(error, match=message):
        attention_text(attention)


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"ends in \.svg or \.png"):
        attention_picture(DOG, tmp_path / "seen.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        attention_picture(DOG, tmp_path / "file" / "seen.png")
