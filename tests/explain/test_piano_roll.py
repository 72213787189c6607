import hashlib
import re

import pytest

from nabi.errors import ArgumentError
from nabi.explain import piano_roll_picture

CADENCE = [[55, 59, 62, 67], [55, 59, 62, 67], [48, 55, 60, 64], []]
GIVEN, COMPOSED = "#e08214", "#3b6ea5"


def bars_of(svg: str, colour: str) -> int:
    """Notes of this colour; the legend has one more where there is one."""
    return len(re.findall(f"fill: {colour}", svg))


def draw(path, frames=CADENCE, **arguments) -> str:
    return piano_roll_picture(frames, path / "a.svg", **arguments).read_text(encoding="utf-8")


def test_a_pitch_that_goes_on_is_one_bar_and_the_primer_has_a_colour_of_its_own(tmp_path):
    svg = draw(tmp_path)
    assert (bars_of(svg, COMPOSED), bars_of(svg, GIVEN)) == (4 + 3 + 0, 0)
    svg = draw(tmp_path, primer=2)
    # The G that sounds on is cut where the primer ends.
    assert (bars_of(svg, COMPOSED), bars_of(svg, GIVEN)) == (4 + 1, 4 + 1)


def test_it_is_the_same_picture_every_time_and_says_what_it_leaves_out(tmp_path):
    pictures = {hashlib.sha256(draw(tmp_path, title="A cadence").encode()).hexdigest() for _ in range(2)}
    assert len(pictures) == 1
    assert "the first 288 of 300 bars" in draw(tmp_path, CADENCE * 300, title="Long")


def test_only_silence_is_a_picture_as_well(tmp_path):
    assert bars_of(draw(tmp_path, [[], []]), COMPOSED) == 0


@pytest.mark.parametrize(
    ("frames", "arguments", "message"),
    [
        ([], {}, "expected frames to draw, got none"),
        ([[3]], {}, r"frames\[0\]: expected a whole number from 21 to 108, the keys of a piano"),
        (CADENCE, {"beats_per_bar": 0}, "beats_per_bar: expected a whole number of at least 1, got 0"),
        (CADENCE, {"steps_per_beat": 0}, "steps_per_beat: expected a whole number of at least 1, got 0"),
    ],
)
def test_what_cannot_be_drawn(tmp_path, frames, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        draw(tmp_path, frames, **arguments)
    with pytest.raises(ArgumentError, match=r"ends in \.svg or \.png"):
        piano_roll_picture(CADENCE, tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
