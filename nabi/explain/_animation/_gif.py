"""An animation as a GIF: one picture for each step."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from nabi._language import Language
from nabi.drawing import Fonts, fonts_for, text_settings
from nabi.errors import ArgumentError
from nabi.explain._animation._film import Film, Lane
from nabi.explain._animation._words import WORDS, meaning_of
from nabi.files import writer
from nabi.ir import LATEX, named_nodes, symbol

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["gif_of"]

_MOST_STEPS = 200
_SECONDS, _LAST_SECONDS = 0.7, 2.5  # that a step is shown
_DPI = 96
_WIDTH, _LEFT, _ANSWERS = 9.6, 2.9, 2.6  # inches
_LANE, _CHAIN, _HEAD = 0.72, 1.25, 0.62
_INK, _SOFT, _LINE, _ACCENT = "#1d2327", "#55606a", "#d8d6cf", "#1559a8"
_MOST_WORDS = 9  # steps whose words stand above, around the present one


def gif_of(film: Film, language: Language) -> bytes:
    """Return the GIF, which begins again at its end.

    Raises:
        ArgumentError: for more steps than a GIF can well hold.
    """
    from PIL import Image

    steps = len(film.labels)
    if steps > _MOST_STEPS:
        raise ArgumentError(
            f"path: expected at most {_MOST_STEPS} steps in a .gif, got {steps:,}; take a .html file"
        )
    with text_settings():
        drawing = _Drawing(film, language)
        frames = [drawing.frame(step) for step in range(steps)]
    # One palette for all, of the first and the last picture, so that colours do not flicker.
    both = Image.new("RGB", (frames[0].width, 2 * frames[0].height))
    both.paste(frames[0], (0, 0))
    both.paste(frames[-1], (0, frames[0].height))
    palette = both.quantize(255, dither=Image.Dither.NONE)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    content = io.BytesIO()
    durations = [round(1000 * _SECONDS)] * (steps - 1) + [round(1000 * _LAST_SECONDS)]
    small[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=small[1:],
        duration=durations,
        loop=0,
        comment=f"written by {writer()}".encode(),
    )
    return content.getvalue()


class _Drawing:
    """The figure, of which each frame changes what depends on the step."""

    def __init__(self, film: Film, language: Language) -> None:
        from matplotlib.figure import Figure

        self.film = film
        words = WORDS[language]
        named = named_nodes(film.program)
        meanings = [words[meaning_of(one.name, share=one.share, state=one.state)] for one in film.lanes]
        names = [name for said in film.says for name, _ in said]
        place = words["place"].format(step=1, steps=len(film.labels), word="")
        texts = [film.title, *film.labels, *meanings, *names, words["says"], place]
        self.fonts: Fonts = fonts_for(texts)
        self.words = words
        wide = _WIDTH + (_ANSWERS if film.says else 0.0)
        height = _HEAD + _CHAIN + _LANE * len(film.lanes) + 0.2
        self.figure: Figure = Figure(figsize=(wide, height), dpi=_DPI, facecolor="#fcfbf8")
        self._size = wide, height
        self._text(0.25, height - 0.3, film.title, size=15, color=_INK)
        self.place = self._text(_WIDTH - 0.25, height - 0.3, "", size=11, color=_SOFT, ha="right")
        self.chain = self._axes(0.25, height - _HEAD - _CHAIN + 0.15, _WIDTH - 0.5, _CHAIN - 0.2)
        self.lanes = []
        for number, (lane, meaning) in enumerate(zip(film.lanes, meanings, strict=True)):
            bottom = height - _HEAD - _CHAIN - _LANE * (number + 1)
            written = symbol(named[lane.name], LATEX, lane.name)
            self.figure.text(
                0.25 / wide, (bottom + 0.42) / height, f"${written}$", fontsize=15, color=_INK, va="center"
            )
            self._text(0.85, bottom + 0.42, meaning.partition(":")[0], size=10, color=_SOFT)
            axes = self._axes(_LEFT, bottom + 0.1, _WIDTH - _LEFT - 0.25, _LANE - 0.16)
            self.lanes.append(_LaneDrawing(axes, lane))
        if film.says:
            bottom = 0.3
            self._text(_WIDTH + 0.05, height - _HEAD - 0.05, words["says"], size=10, color=_SOFT)
            self.answers = self._axes(_WIDTH + 0.05, bottom, _ANSWERS - 0.3, height - _HEAD - 0.3 - bottom)

    def frame(self, step: int) -> "Image":
        """Return the picture of a step."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        film = self.film
        told = self.words["place"].format(
            step=step + 1, steps=len(film.labels), word=_seen(film.labels[step])
        )
        self.place.set_text(self.fonts.write(told))
        self._draw_chain(step)
        for lane in self.lanes:
            lane.show(step)
        if film.says:
            self._draw_answers(step)
        canvas: Any = FigureCanvasAgg(self.figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())

    def _draw_chain(self, step: int) -> None:
        from matplotlib.patches import FancyBboxPatch

        axes, film = self.chain, self.film
        axes.clear()
        axes.axis("off")
        steps = len(film.labels)
        shown = min(steps, _MOST_WORDS)
        first = min(max(step - shown // 2, 0), steps - shown)
        axes.set(xlim=(-0.5, shown - 0.5), ylim=(0, 1))
        remembered = [lane for lane in film.lanes if lane.state] or list(film.lanes[-1:])
        for place in range(shown):
            time = first + place
            now, past = time == step, time <= step
            if place or time:
                axes.annotate(
                    "",
                    xy=(place - 0.24, 0.64),
                    xytext=(place - 0.76, 0.64),
                    arrowprops={"arrowstyle": "-|>", "color": _ACCENT if past else _LINE, "linewidth": 1.6},
                )
            axes.add_patch(
                FancyBboxPatch(
                    (place - 0.2, 0.38),
                    0.4,
                    0.54,
                    boxstyle="round,pad=0,rounding_size=0.06",
                    mutation_aspect=0.9,
                    facecolor="#ffffff",
                    edgecolor=_ACCENT if now else _LINE,
                    linewidth=2.4 if now else 1.2,
                )
            )
            for number, lane in enumerate(remembered if past else ()):
                part = 0.32 / len(remembered)
                left = place - 0.16 + number * part
                axes.imshow(
                    _colours(lane, lane.values[time][:, None]),
                    extent=(left + 0.015, left + part - 0.015, 0.44, 0.86),
                    aspect="auto",
                    interpolation="nearest",
                    zorder=3,
                )
            axes.set(xlim=(-0.5, shown - 0.5), ylim=(0, 1))
            word = self.fonts.write(_short(_seen(film.labels[time])))
            axes.text(
                place,
                0.3,
                word,
                ha="center",
                va="top",
                fontsize=12 if now else 11,
                color=_INK if past else _SOFT,
                fontweight="bold" if now else "normal",
                fontfamily=list(self.fonts.families),
                parse_math=False,
            )

    def _draw_answers(self, step: int) -> None:
        axes, film = self.answers, self.film
        axes.clear()
        axes.axis("off")
        said = next((film.says[at] for at in range(step, -1, -1) if film.says[at]), ())
        greatest = max((abs(value) for one in film.says for _, value in one), default=1.0) or 1.0
        axes.set(xlim=(0, 1), ylim=(-8, 0.3))
        for number, (name, value) in enumerate(said[:8]):
            axes.barh(-number - 0.62, abs(value) / greatest, height=0.3, left=0, color=_ACCENT)
            for x, text, side in ((0.0, _short(_seen(name), 18), "left"), (1.0, f"{value:.2f}", "right")):
                axes.text(
                    x,
                    -number - 0.28,
                    self.fonts.write(text),
                    ha=side,
                    va="center",
                    fontsize=10.5,
                    color=_INK,
                    fontfamily=list(self.fonts.families),
                    parse_math=False,
                )

    def _axes(self, left: float, bottom: float, width: float, height: float) -> Any:
        wide, high = self._size
        axes = self.figure.add_axes((left / wide, bottom / high, width / wide, height / high))
        axes.axis("off")
        return axes

    def _text(self, x: float, y: float, text: str, *, size: float, color: str, ha: str = "left") -> Any:
        wide, high = self._size
        return self.figure.text(
            x / wide,
            y / high,
            self.fonts.write(text),
            fontsize=size,
            color=color,
            ha=ha,
            va="center",
            fontfamily=list(self.fonts.families),
            parse_math=False,
        )


class _LaneDrawing:
    """One value over time, of which what is still to come is faint."""

    def __init__(self, axes: Any, lane: Lane) -> None:
        from matplotlib.patches import Rectangle

        self.colours = _colours(lane, lane.values.T)
        steps = len(lane.values)
        self.image = axes.imshow(
            self.colours, aspect="auto", interpolation="nearest", extent=(-0.5, steps - 0.5, 0, 1)
        )
        self.cursor = axes.add_patch(
            Rectangle((-0.5, 0), 1, 1, fill=False, edgecolor=_INK, linewidth=1.6, clip_on=False)
        )

    def show(self, step: int) -> None:
        shown = self.colours.copy()
        shown[:, step + 1 :] = 0.16 * shown[:, step + 1 :] + 0.84 * _NONE
        self.image.set_data(shown)
        self.cursor.set_x(step - 0.5)


_NONE = np.array([247, 245, 240]) / 255
_SHARE, _PLUS, _MINUS = (np.array(one) / 255 for one in ((240, 168, 0), (21, 89, 168), (190, 62, 12)))


def _colours(lane: Lane, values: np.ndarray[Any, Any]) -> Any:
    """Return the colours of values, as on the page: `[..., 3]`."""
    limit = 1.0 if lane.share else max(float(np.quantile(np.abs(lane.values).max(0), 0.95)), 1e-6)
    strength = np.clip(np.abs(np.nan_to_num(values)) / limit, 0, 1)[..., None]
    ends = np.where((values < 0)[..., None], _MINUS, _SHARE if lane.share else _PLUS)
    return _NONE + (ends - _NONE) * strength


def _seen(text: str) -> str:
    return {" ": "\N{OPEN BOX}", "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}.get(text, text)


def _short(text: str, most: int = 9) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
