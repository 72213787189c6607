"""Sounds that a small network learns in a second: words that are tones, higher for some speakers."""

import numpy as np

RATE = 8000
WORDS = {"low": 350.0, "middle": 900.0, "high": 2000.0}


def word(name: str, speaker: int, random: np.random.Generator):
    """A word of 0.2 s to 0.3 s."""
    length = int(RATE * random.uniform(0.2, 0.3))
    tone = np.sin(2 * np.pi * WORDS[name] * (1 + 0.03 * speaker) * np.arange(length) / RATE)
    tone *= np.hanning(length) * random.uniform(0.2, 0.6)
    return (tone + 0.005 * random.normal(size=length)).astype(np.float32)


def words(count: int, seed: int = 0):
    """Recordings, labels and speakers."""
    random = np.random.default_rng(seed)
    labels = [list(WORDS)[number % 3] for number in range(count)]
    speakers = [number // 3 % 4 for number in range(count)]
    return [word(*one, random) for one in zip(labels, speakers, strict=True)], labels, speakers


def sentences(count: int, seed: int = 0, longest: int = 4):
    """Recordings of some words each with pauses, and their texts."""
    random = np.random.default_rng(seed)
    sounds, texts = [], []
    for _ in range(count):
        said = random.choice(list(WORDS), random.integers(1, longest + 1)).tolist()
        parts = [pause(random)]
        for name in said:
            parts += [word(name, 0, random), pause(random)]
        sounds.append(np.concatenate(parts))
        texts.append(" ".join(said))
    return sounds, texts


def pause(random: np.random.Generator, most: float = 0.2):
    """Nearly silence, of 0.05 s at least."""
    return (0.002 * random.normal(size=int(RATE * random.uniform(0.05, most)))).astype(np.float32)
