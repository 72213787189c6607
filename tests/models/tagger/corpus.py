"""Made sentences with names: a corpus whose names are drawn from syllables, so that most are unseen.

A name says by itself nothing about its kind: people, towns and firms have the same syllables. Only the words
around it tell. It is made, not real language: what is measured on it says that context is learnt, no more.
"""

import random

__all__ = ["as_conll", "sentences"]

_SYLLABLES = ("ka", "lo", "mi", "ru", "ten", "sol", "var", "bin", "do", "pel", "gar", "ni")
_FRAMES = (
    "PER met PER in LOC yesterday .",
    "PER works for ORG .",
    "the train from LOC to LOC was late .",
    "shares of ORG fell in LOC , said PER .",
    "ORG hired PER last week .",
    "in LOC it rained .",
    "we saw nothing new .",
    "PER lives in LOC .",
)


def sentences(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return tokens and tags (BIO); a name is one or two words."""
    draw = random.Random(seed)

    def word() -> str:
        return "".join(draw.choices(_SYLLABLES, k=draw.randint(2, 3))).capitalize()

    tokens, tags = [], []
    for _ in range(count):
        row: list[str] = []
        said: list[str] = []
        for one in draw.choice(_FRAMES).split():
            if one in ("PER", "LOC", "ORG"):
                name = [word() for _ in range(draw.choice((1, 1, 2)))]
                row += name
                said += [f"B-{one}", *[f"I-{one}"] * (len(name) - 1)]
            else:
                row.append(one)
                said.append("O")
        tokens.append(row)
        tags.append(said)
    return tokens, tags


def as_conll(tokens: list[list[str]], tags: list[list[str]]) -> str:
    """Return a CoNLL file: token, a column of no use, tag."""
    blocks = [
        "".join(f"{token}\tX\t{tag}\n" for token, tag in zip(row, said, strict=True))
        for row, said in zip(tokens, tags, strict=True)
    ]
    return "\n".join(blocks)
