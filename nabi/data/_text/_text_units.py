"""What texts are cut into: words, characters or pieces of words, with the `tokenizers` library.

The tokenizers that are made here know no "special tokens": a text that says `[unknown]` is a text.
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
]

# Names of the codes 0 to 3. No token can be spelt so: a bracket is a token of its own.
RESERVED = ("[padding]", "[start]", "[unknown]", "[separator]")
UNITS = ("words", "characters", "pieces", "subwords")
# A piece that goes on where the last one ended begins so. A word never does: `#` with letters after it is a
# word of one `#`, and every other `#` is a word of its own.
CONTINUED = "##"
# The space before a subword, which begins with it.
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"

_LETTER = r"[\p{L}\p{M}]"
_ENDING = rf"(?i:s|d|m|re|ve|ll)(?!{_LETTER})"
_WORD = "|".join(
    (
        # The host of an address; what follows it are words again.
        r"https?://[\w\-]+(?:\.[\w\-]+)*",
        r"www(?:\.[\w\-]+)+",
        # A bare tag such as <br />.
        r"</?[A-Za-z][A-Za-z0-9]*\s?/?>",
        # Topics and names, not the middle of an e-mail address.
        r"(?<![\p{L}\p{M}\p{N}_])[#@][\p{L}\p{M}\p{N}_]+",
        # film's is film and 's; didn't and o'clock are one word.
        rf"(?<={_LETTER})'{_ENDING}",
        rf"{_LETTER}+(?:'(?!{_ENDING}){_LETTER}+)*",
        r"\p{N}+(?:[.,]\p{N}+)*",
        # Flags are two letters each; \X finds them too, but takes the square of the time for many.
        r"[\x{1F1E6}-\x{1F1FF}]{1,2}\p{M}*",
        # Anything else that is seen, with what belongs to it: an emoji with its skin colour.
        r"(?!\s)\X",
    )
)
# What subwords are looked for in, once spaces are marks: a word, a number, or anything else by itself.
_MARKED = rf"{SPACE}?(?:{_LETTER}+(?:['’]{_LETTER}+)*|\p{{N}}+|(?m:.))"
# Words of the length of a book are noise, and learning pieces from them would take minutes.
_LONGEST_LEARNT_WORD = 100

_learning = threading.Lock()


def make_tokenizer(
    unit: str, lowercase: bool, words: list[str], merges: list[tuple[str, str]]
) -> "Tokenizer":
    """Make the tokenizer of a vocabulary: `words` by code, the four reserved ones included."""
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
    # NFC joins what belongs together (Hangul, accents). NFKC would take the letters of Korean laughter apart.
    steps: list[normalizers.Normalizer] = [normalizers.NFC()]
    if unit in ("words", "pieces"):
        steps.append(normalizers.Replace("’", "'"))
    if lowercase:
        steps.append(normalizers.Lowercase())
    if unit == "subwords":
        # As if there were a space before the text: its first word is a word like any other.
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


def check_words(unit: str, words: list[str], merges: list[tuple[str, str]]) -> None:
    """Raise `ArgumentError` for what no tokenizer can be made of.

    The library takes some of it without a word and ends the program for other.
    """
    known = set(words)
    if tuple(words[: len(RESERVED)]) != RESERVED or len(known) < len(words):
        raise ArgumentError(f"words: each word once is expected, and the first are {', '.join(RESERVED)}")
    learnt = words[len(RESERVED) :]
    for word in learnt:
        if not word or word != readable(word) or (unit == "characters" and len(word) > 1):
            raise ArgumentError(f"words: {word!r} cannot be one of {unit}")
    if merges and unit not in ("pieces", "subwords"):
        raise ArgumentError(f"merges: {len(merges)} were given for {unit}, which have none")
    begins = CONTINUED if unit == "pieces" else ""
    for left, right in merges:
        merged = left + right[len(begins) :]
        if not right.startswith(begins) or not known.issuperset((left, right, merged)):
            raise ArgumentError(f"merges: {left!r} and {right!r} were given, which are not among the words")


def readable(text: str) -> str:
    """Return the text with half characters (lone surrogates), which UTF-8 does not know, as U+FFFD."""
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

    Every character that is kept is a piece, of the unit "pieces" at the beginning of a word and inside; they
    take up half of `size` at most. Returns the pieces, by falling frequency in the counted words, and the
    merges.
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
        ranked.sort(key=lambda letter: letter != SPACE)  # without it there would be no words
        begins, most_letters = "", None if size is None else max(2, size // 2)
    kept = set(ranked[:most_letters])
    words = {
        word: count
        for word, count in sorted(counts.items())
        if len(word) <= _LONGEST_LEARNT_WORD and kept.issuperset(word)
    }
    # The trainer numbers letters in the order in which a hash table gives them, and breaks ties by these
    # numbers. What it is told to reserve is numbered first, in this order: so it learns the same each time.
    alphabet = sorted(kept)
    if begins:
        alphabet += [begins + letter for letter in alphabet]
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix=begins))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    # It takes memory for all the pieces that it may learn; there cannot be more than pairs of letters.
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
    """Return the key that sorts tokens by falling frequency, and by the alphabet where it is the same."""
    return lambda token: (-counts[token], token)


def _repeated(words: dict[str, int]) -> Iterator[str]:
    """Each word as often as it was counted, in lines that are not too long for memory."""
    for word, count in words.items():
        line = f"{word}\n"
        for start in range(0, count, 10_000):
            yield line * min(10_000, count - start)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep `tokenizers` from starting threads: nobody asked for them, and a fork of this process loses them.

    Versions of it warn at such a fork.
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
