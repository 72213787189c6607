"""The data sets of sentences with translations."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from nabi.data._data_sets import random_order
from nabi.data._tables._pair_splitting import _essence, apart
from nabi.datasets import multi30k, tatoeba
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError


def write_multi30k(folder: Path, prefix: str = "multi30k_", **changed: str) -> None:
    for number, part in enumerate(("train", "val", "test_2016_flickr")):
        for language in ("en", "de"):
            text = "".join(f"{part} {language} {row}\n" for row in range(3 - number))
            path = folder / f"{prefix}{part}.{language}.gz"
            path.write_bytes(gzip.compress(changed.get(f"{part}_{language}", text).encode()))


def write_tatoeba(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("".join(f"{en}\t{ko}\tCC-BY\n" for en, ko in rows), encoding="utf-8")


@pytest.mark.parametrize("prefix", ["multi30k_", ""])
def test_multi30k_has_three_parts(tmp_path: Path, prefix: str) -> None:
    write_multi30k(tmp_path, prefix)
    training, validation, test = multi30k.load_pairs(tmp_path)
    assert training == ([f"train en {row}" for row in range(3)], [f"train de {row}" for row in range(3)])
    assert (validation[0], test[1]) == (["val en 0", "val en 1"], ["test_2016_flickr de 0"])
    assert multi30k.load_pairs(tmp_path, "de", "en")[0] == (training[1], training[0])


def test_multi30k_is_found_in_the_folder_of_all_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "translation").mkdir()
    write_multi30k(tmp_path / "translation")
    monkeypatch.setenv("NABI_DATA", str(tmp_path))
    assert len(multi30k.load_pairs()[0][0]) == 3


@pytest.mark.usefixtures("nowhere")
def test_what_is_wrong_with_multi30k_is_said(tmp_path: Path) -> None:
    write_multi30k(tmp_path, train_de="one line\n")
    with pytest.raises(FileFormatError, match=r"train\.en\.gz has 3 lines and multi30k_train\.de\.gz 1"):
        multi30k.load_pairs(tmp_path)
    with pytest.raises(MissingFileError, match=r"has no multi30k_train\.en\.gz \+ multi30k_train\.fr\.gz"):
        multi30k.load_pairs(tmp_path, target="fr")
    with pytest.raises(MissingFileError, match="cannot be downloaded; put multi30k_train"):
        multi30k.load_pairs(target="fr")
    with pytest.raises(UnknownNameError, match="target: 'dee' is not known; did you mean 'de'"):
        multi30k.load_pairs(tmp_path, target="dee")
    with pytest.raises(ArgumentError, match="target: expected another language than source, got 'en'"):
        multi30k.load_pairs(tmp_path, target="en")


ROWS = [(f"Sentence {number}.", f"문장 {number}.") for number in range(40)]


def test_tatoeba_is_divided_by_a_seed(tmp_path: Path) -> None:
    path = tmp_path / "tatoeba_eng_kor.tsv"
    write_tatoeba(path, [*ROWS, ('"Quote" it.', "말해.")])
    parts = tatoeba.load_pairs(tmp_path)
    assert [len(part[0]) for part in parts] == [33, 4, 4]
    assert parts == tatoeba.load_pairs(path)
    assert parts != tatoeba.load_pairs(path, seed=1)
    found = sorted(pair for part in parts for pair in zip(*part, strict=True))
    assert found == sorted([*ROWS, ('"Quote" it.', "말해.")])


@pytest.mark.usefixtures("nowhere")
def test_what_is_wrong_with_tatoeba_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"put tatoeba_eng_kor\.tsv or kor\.txt into a folder"):
        tatoeba.load_pairs()
    path = tmp_path / "kor.txt"
    write_tatoeba(path, ROWS[:3])
    with pytest.raises(ArgumentError, match="expected shares that leave no part of 3 pairs empty"):
        tatoeba.load_pairs(tmp_path)
    with pytest.raises(ArgumentError, match="test_share: expected a number between 0 and 1, got 1"):
        tatoeba.load_pairs(tmp_path, test_share=1)
    path.write_text("one column\n")
    with pytest.raises(ArgumentError, match=r"target: expected column 0 of .*kor\.txt, got 1"):
        tatoeba.load_pairs(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from(".!?")), min_size=1),
    st.integers(0, 100),
    st.booleans(),
)
def test_no_sentence_is_in_two_parts(rows: list[tuple[int, int, str]], seed: int, both: bool) -> None:
    part = [f"S {source}{mark}" for source, _, mark in rows], [f"t{target}{mark}" for _, target, mark in rows]
    parts = apart(part, (0.2, 0.2), random_order(seed), targets_too=both)
    found = sorted(pair for sources, targets in parts for pair in zip(sources, targets, strict=True))
    assert found == sorted(zip(*part, strict=True))
    assert all(len(parts[number][0]) <= round(0.2 * len(rows)) for number in range(2))
    for side in range(1 + both):
        sentences = [{_essence(sentence) for sentence in one[side]} for one in parts]
        assert sum(map(len, sentences)) == len(set().union(*sentences))


@pytest.mark.usefixtures("real_data")
def test_the_real_sentences() -> None:
    assert [len(part[0]) for part in multi30k.load_pairs()] == [29_000, 1_014, 1_000]
    training, validation, test = tatoeba.load_pairs()
    assert [len(part[0]) for part in (training, validation, test)] == [2_979, 372, 372]
