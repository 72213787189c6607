"""Korean particles, whose form depends on the sound that the word before them ends with."""

import re

__all__ = ["FORMS", "with_particle"]

# After a consonant, after a vowel, and what to write where the sound is not known.
FORMS = {
    "은": ("은", "는", "은(는)"),
    "이": ("이", "가", "이(가)"),
    "을": ("을", "를", "을(를)"),
    "과": ("과", "와", "과(와)"),
    "으로": ("으로", "로", "(으)로"),
    "이어야": ("이어야", "여야", "이어야"),
    "이라는": ("이라는", "라는", "(이)라는"),
    "이나": ("이나", "나", "(이)나"),
}
_FIRST_SYLLABLE, _SYLLABLES, _FINALS = 0xAC00, 11172, 28
_FINAL_L = 8  # ㄹ, after which "으로" is "로"
# Digits as they are read, and letters as they are named: 영, 일, 이, ...; 엘, 엠, 엔, 아르.
_CONSONANTS = set("013678lmn")
_ENDS_WITH_L = set("178l")


def with_particle(word: str, particle: str) -> str:
    """Return a word with a particle in the form that follows it.

    Args:
        word: any text; quotes and brackets at its end are not spoken.
        particle: the form after a consonant: 은, 이, 을, 과, 으로, 이어야, 이라는 or 이나.

    >>> with_particle("모델", "을"), with_particle("나비", "을"), with_particle("3", "은")
    ('모델을', '나비를', '3은')
    >>> with_particle("'relu'", "으로"), with_particle("파일", "으로"), with_particle("…", "이")
    ("'relu'로", '파일로', '…이(가)')
    """
    after_consonant, after_vowel, unknown = FORMS[particle]
    spoken = re.sub(r"[^\w%]+$", "", word).lower()
    last = spoken[-1:]
    number = ord(last) - _FIRST_SYLLABLE if last else -1
    if 0 <= number < _SYLLABLES:
        final = number % _FINALS
        ends_with_l = final == _FINAL_L
        ends_with_consonant = final != 0
    elif last.isascii() and last.isalnum():
        ends_with_consonant, ends_with_l = last in _CONSONANTS, last in _ENDS_WITH_L
    elif last == "%":
        ends_with_consonant = ends_with_l = False
    else:
        return word + unknown
    if particle == "으로" and ends_with_l:
        ends_with_consonant = False
    return word + (after_consonant if ends_with_consonant else after_vowel)
