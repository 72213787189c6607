"""Tokenization into words, characters or parts of words, with the `tokenizers` library.

These tokenizers have no "special tokens": the text `[unknown]` is plain text.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "CONTINUED",
    "RESERVED",
    "SPACE",
    "UNITS",
    "check_words",
    "count_tokens",
    "learn_pieces",
    "make_tokenizer",
    "ranking",
    "readable",
    "split_words",
]

# Names of the codes 0 to 3. They cannot collide with a token: a bracket is a token of its own.
RESERVED = ("[padding]", "[start]", "[unknown]", "[separator]")
UNITS = ("words", "characters", "pieces", "subwords")
# Prefix of a piece that continues a word. No word begins with it: a word such as `#topic` has one `#`, and
# every other `#` is a word of its own.
CONTINUED = "##"
# The space before a subword, part of the subword.
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"

_LETTER = r"[\p{L}\p{M}]"
_ENDING = rf"(?i:s|d|m|re|ve|ll)(?!{_LETTER})"
_WORD = "|".join(
    (
        # The host of a URL; what follows is cut into words as usual.
        r"https?://[\w\-]+(?:\.[\w\-]+)*",
        r"www(?:\.[\w\-]+)+",
        # A bare tag such as <br />.
        r"</?[A-Za-z][A-Za-z0-9]*\s?/?>",
        # Hashtags and mentions, but not the middle of an e-mail address.
        r"(?<![\p{L}\p{M}\p{N}_])[#@][\p{L}\p{M}\p{N}_]+",
        # film's is film and 's; didn't and o'clock are one word.
        rf"(?<={_LETTER})'{_ENDING}",
        rf"{_LETTER}+(?:'(?!{_ENDING}){_LETTER}+)*",
        r"\p{N}+(?:[.,]\p{N}+)*",
        # A flag is two regional indicators; \X finds them too, but takes quadratic time for many.
        r"[\x{1F1E6}-\x{1F1FF}]{1,2}\p{M}*",
        # Any other visible character with its modifiers: an emoji with its skin colour.
        r"(?!\s)\X",
    )
)
# Subwords do not cross these, once spaces are marks: a word, a number, or any other single character.
_MARKED = rf"{SPACE}?(?:{_LETTER}+(?:['’]{_LETTER}+)*|\p{{N}}+|(?m:.))"
# Longer words are noise, and learning pieces from a word as long as a book would take minutes.
_LONGEST_LEARNT_WORD = 100

_learning = threading.Lock()


def make_tokenizer(
    unit: str, lowercase: bool, words: list[str], merges: list[tuple[str, str]]
) -> "Tokenizer":
    """Make the tokenizer of a vocabulary: `words` in the order of their codes, reserved ones included."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    codes = {word: code for code, word in enumerate(words)}
    unknown = RESERVED[2]
    model: models.Model
    if unit == "pieces":
        model = models.BPE(codes, merges, unk_token=unknown, continuing_subword_prefix=CONTINUED)
    elif unit == "subwords":
        model = models.BPE(codes, merges, unk_token=unknown)
    else:
        model = models.WordLevel(codes, unk_token=unknown)
    tokenizer = Tokenizer(model)
    # NFC composes Hangul and accents. NFKC would decompose the letters of Korean laughter.
    steps: list[normalizers.Normalizer] = [normalizers.NFC()]
    if unit in ("words", "pieces"):
        steps.append(normalizers.Replace("’", "'"))
    if lowercase:
        steps.append(normalizers.Lowercase())
    if unit == "subwords":
        # With a space before the text, its first word is coded like any other.
        steps.append(normalizers.Prepend(SPACE))
        steps.append(normalizers.Replace(Regex(rf"[\s{SPACE}]+\z"), ""))
        steps.append(normalizers.Replace(Regex(rf"[\s{SPACE}]+"), SPACE))
    tokenizer.normalizer = normalizers.Sequence(steps)
    if unit == "characters":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?m:.)"), "isolated")
    elif unit == "subwords":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_MARKED), "isolated")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True)
    return tokenizer


def split_words(text: str) -> list[str]:
    """Return the words, numbers and other characters of a text, as they stand there.

    They are those that `make_tokenizer("words", ...)` finds.

    >>> split_words("Ann's cat isn't here, is it?")
    ['Ann', "'s", 'cat', "isn't", 'here', ',', 'is', 'it', '?']
    """
    from tokenizers import Regex, pre_tokenizers

    # Each typographic apostrophe becomes a plain one for the pattern, so places stay the same.
    found = pre_tokenizers.Split(Regex(_WORD), "removed", invert=True).pre_tokenize_str(
        text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    return [text[start:end] for _, (start, end) in found]


def check_words(unit: str, words: list[str], merges: list[tuple[str, str]]) -> None:
    """Raise `ArgumentError` for words and merges that cannot make a tokenizer.

    The library accepts some of them silently and aborts the process for others.
    """
    known = set(words)
    if tuple(words[: len(RESERVED)]) != RESERVED or len(known) < len(words):
        raise ArgumentError(f"words: expected each word once, the first being {', '.join(RESERVED)}")
    learnt = words[len(RESERVED) :]
    for word in learnt:
        if not word or word != readable(word) or (unit == "characters" and len(word) > 1):
            raise ArgumentError(f"words: expected {unit}, got {word!r}")
    if merges and unit not in ("pieces", "subwords"):
        raise ArgumentError(f"merges: expected none for {unit}, got {len(merges)}")
    begins = CONTINUED if unit == "pieces" else ""
    for left, right in merges:
        merged = left + right[len(begins) :]
        if not right.startswith(begins) or not known.issuperset((left, right, merged)):
            raise ArgumentError(f"merges: expected merges of the words, got {left!r} and {right!r}")


def readable(text: str) -> str:
    """Return the text with lone surrogates, which UTF-8 cannot encode, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def count_tokens(tokenizer: "Tokenizer", unit: str, text: str, counts: Counter[str]) -> None:
    """Add the words or characters of a text to `counts`."""
    normalised = tokenizer.normalizer.normalize_str(readable(text))
    if unit == "characters":
        counts.update(normalised)
    else:
        counts.update([token for token, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalised)])


def learn_pieces(
    counts: Counter[str], unit: str, size: int | None, minimum_count: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """Learn byte-pair encoding from counted words.

    Every character that is kept is a piece; with the unit "pieces" it is two, one that begins a word and one
    inside a word. They take up at most half of `size`. Returns the pieces, by descending frequency in the
    counted words, and the merges.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    letters = Counter[str]()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
    ranked = sorted((letter for letter in letters if letters[letter] >= minimum_count), key=ranking(letters))
    if unit == "pieces":
        begins, most_letters = CONTINUED, None if size is None else max(1, size // 4)
    else:
        ranked.sort(key=lambda letter: letter != SPACE)  # no words without it
        begins, most_letters = "", None if size is None else max(2, size // 2)
    kept = set(ranked[:most_letters])
    words = {
        word: count
        for word, count in sorted(counts.items())
        if len(word) <= _LONGEST_LEARNT_WORD and kept.issuperset(word)
    }
    # The trainer numbers letters in hash table order and breaks ties by number. Special tokens are numbered
    # first, in the order given, which makes training reproducible.
    alphabet = sorted(kept)
    if begins:
        alphabet += [begins + letter for letter in alphabet]
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix=begins))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    # It allocates memory for every piece it may learn; there cannot be more than pairs of letters.
    most = len(alphabet) + sum(map(len, words))
    trainer = trainers.BpeTrainer(
        vocab_size=most if size is None else min(size, most),
        min_frequency=minimum_count,
        special_tokens=alphabet,
        continuing_subword_prefix=begins,
        show_progress=False,
    )
    with _one_thread():
        tokenizer.train_from_iterator(_repeated(words), trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    merges = [(left, right) for left, right in learnt["merges"]]
    pieces = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    cutter = make_tokenizer(unit, False, [*RESERVED, *pieces], merges)
    found = Counter[str](dict.fromkeys(pieces, 0))
    for word, count in counts.items():
        for piece in cutter.model.tokenize(word):
            if piece.id >= len(RESERVED):
                found[piece.value] += count
    return sorted(pieces, key=ranking(found)), merges


def ranking(counts: Counter[str]) -> Callable[[str], tuple[int, str]]:
    """Return the key that sorts tokens by descending frequency, then alphabetically."""
    return lambda token: (-counts[token], token)


def _repeated(words: dict[str, int]) -> Iterator[str]:
    """Yield each word as often as it was counted, in chunks that fit into memory."""
    for word, count in words.items():
        line = f"{word}\n"
        for start in range(0, count, 10_000):
            yield line * min(10_000, count - start)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep `tokenizers` from starting threads, which a fork of this process would lose.

    Some of its versions warn about such a fork.
    """
    name = "TOKENIZERS_PARALLELISM"
    with _learning:
        before = os.environ.get(name)
        os.environ[name] = "false"
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
