"""Whether what `nabi train` chooses by itself is as good as other settings, and as simple models.

    python benchmarks/defaults.py [dna] [korean] [melody] [numbers]

Tasks are drawn by this script from a fixed seed; the Korean reviews are those of `nabi.datasets.nsmc`.
Choices are made on validation rows; the figure is that of the test rows, read once. It prints a table for
docs/your-own-texts.md, docs/translating.md and docs/music.md.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator

from nabi import NoteModel, TextClassifier, Translator
from nabi.datasets import nsmc

Row = tuple[str, str, float, float]
"""Settings, measure, figure, seconds."""

_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_ONES += ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"]
_ONES += ["nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def dna() -> Iterator[Row]:
    """1,200 random sequences of 60 bases; half of them contain TATAAT."""
    draw = random.Random(1)
    labels = [draw.choice(("yes", "no")) for _ in range(1200)]
    texts = []
    for label in labels:
        letters = [draw.choice("ACGT") for _ in range(60)]
        if label == "yes":
            place = draw.randrange(50)
            letters[place : place + 6] = "TATAAT"
        texts.append("".join(letters))
    for name, unit in (("default", "auto"), ("pieces", "pieces")):
        start = time.perf_counter()
        report = TextClassifier(unit=unit).fit(texts, labels, verbose=0)
        yield name, "accuracy", report.accuracy, time.perf_counter() - start
        for one in report.baselines:
            yield f"{one.name}, beside {name}", "accuracy", one.accuracy, 0.0


def korean() -> Iterator[Row]:
    """The first 1,000 and 5,000 Korean film reviews to learn from, and 2,000 others to test on."""
    (train, truth), (test, expected) = nsmc.load_texts()
    labels = [str(one) for one in truth]
    for count in (1000, 5000):
        for name, unit in (("default", "auto"), ("characters", "characters"), ("words", "words")):
            start = time.perf_counter()
            model = TextClassifier(unit=unit)
            model.fit(train[:count], labels[:count], test_share=0, verbose=0)
            answers = model.predict(test[:2000])
            right = sum(one.label == str(two) for one, two in zip(answers, expected[:2000], strict=True))
            yield f"{count:,} rows, {name}", "accuracy", right / 2000, time.perf_counter() - start


def melody() -> Iterator[Row]:
    """300 melodies of one voice without rests: how much of what is composed is silence."""
    draw = random.Random(2)
    pieces = []
    for _ in range(300):
        keys = [draw.randrange(55, 80)]
        for _ in range(31):
            keys.append(min(max(keys[-1] + draw.choice((-2, -1, 1, 2, 5)), 48), 84))
        pieces.append([[key] for key in keys])
    for output in ("keys", "chords"):
        start = time.perf_counter()
        model = NoteModel(units=48, epochs=20, output=output)
        model.fit(pieces, verbose=0)
        seconds = time.perf_counter() - start
        for name, fewest in (("default", None), ("fewest 0", 0)):
            composed = list(model.write(frames=1000, fewest=fewest, ends=False))
            silent = sum(not frame for frame in composed) / len(composed)
            yield f"output {output}, {name}", "silence", silent, seconds


def numbers() -> Iterator[Row]:
    """2,000 numbers below 100,000, and how they are said; 100 more to choose by and 100 to test on.

    The unit is chosen on the first 100, which also end the training; the other 100 are read once, by the unit
    that was chosen.
    """
    draw = random.Random(0)
    found = draw.sample(range(100_000), 2200)
    sources, targets = [str(one) for one in found], [_said(one) for one in found]
    held = sources[2000:2100], targets[2000:2100]
    tried: list[tuple[float, str, Translator]] = []
    for unit in ("characters", "subwords"):
        start = time.perf_counter()
        model = Translator(units=96, embedding_size=96, epochs=20, unit=unit)
        model.fit(sources[:2000], targets[:2000], validation=held, verbose=0)
        tried.append((_exact(model, *held), unit, model))
        yield unit, "exact, validation", tried[-1][0], time.perf_counter() - start
    _, unit, model = max(tried, key=lambda one: one[0])
    yield f"{unit}, chosen", "exact, test", _exact(model, sources[2100:], targets[2100:]), 0


def _exact(model: Translator, sources: list[str], targets: list[str]) -> float:
    written = [one.text for one in model.translate(sources, beam=1)]
    return sum(one == other for one, other in zip(written, targets, strict=True)) / len(targets)


def _said(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = f" {_said(number % unit)}" if number % unit else ""
    return f"{_said(number // unit)} {name}{rest}"


TASKS: dict[str, Callable[[], Iterator[Row]]] = {
    "dna": dna,
    "korean": korean,
    "melody": melody,
    "numbers": numbers,
}

if __name__ == "__main__":
    print("| task | settings | measure | figure | seconds |\n|---|---|---|---:|---:|")
    for task in sys.argv[1:] or list(TASKS):
        for settings, what, figure, took in TASKS[task]():
            shown = f"{took:.0f}" if took else ""
            print(f"| {task} | {settings} | {what} | {figure:.3f} | {shown} |", flush=True)
