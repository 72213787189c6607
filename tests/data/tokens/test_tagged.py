"""Files of tokens with tags: CoNLL-2003, CoNLL-U, and tables with lists."""

import gzip
import json
from pathlib import Path

import pytest

from nabi.data import is_conll_file, read_conll, read_tagged
from nabi.errors import ArgumentError, FileFormatError, UnknownNameError

CONLL = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# NN B-NP O
-DOCSTART- -X- -X- O

Peter NNP B-NP B-PER
"""
CONLLU = (
    "# newdoc id = one\n# sent_id = 1\n# text = Vámonos al mar\n"
    "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tVamos\tir\tVERB\tV\tMood=Imp\t0\troot\t_\t_\n"
    "2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_\n"
    "2.1\tel\tel\tDET\tD\t_\t_\t_\t_\t_\n"
    "3\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_\n"
    "\n# newdoc\n1\tFin\tfin\tNOUN\tN\t_\t0\troot\t_\t_\n"
)


def write(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_columns_with_spaces_and_documents(tmp_path: Path) -> None:
    path = write(tmp_path, "eng.train", CONLL)
    found = read_tagged(path)
    assert found.tokens == [["EU", "rejects"], ["#"], ["Peter"]]
    assert found.tags == [["B-ORG", "O"], ["O"], ["B-PER"]]
    assert found.places[1] == f"{path}, line 6"
    assert found.documents == (1, 1, 2)
    assert (
        read_tagged(path, tag=1).tags == read_tagged(path, tag="-3").tags == [["NNP", "VBZ"], ["NN"], ["NNP"]]
    )
    assert read_tagged(path, tagged=False, token=1).tokens[0] == ["NNP", "VBZ"]


def test_conllu_has_ranges_empty_nodes_and_comments(tmp_path: Path) -> None:
    path = write(tmp_path, "es.conllu", CONLLU)
    found = read_tagged(path)
    assert found.tokens == [["Vamos", "nos", "mar"], ["Fin"]]
    assert found.tags == [["VERB", "PRON", "NOUN"], ["NOUN"]]
    assert found.documents == (1, 2)
    assert read_tagged(path, tag="deprel", token="LEMMA").tokens[0] == ["ir", "nosotros", "mar"]
    with pytest.raises(FileFormatError, match=r"line 8: expected a tag in the column XPOS, got '_'"):
        read_tagged(path, tag="XPOS")
    with pytest.raises(UnknownNameError, match="UPOS"):
        read_tagged(path, tag="UPS")


def test_tabs_keep_spaces_within_tokens_and_comments_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "a.bio", "# a comment\nNew York\tB-LOC\n# id = 3\n#\tO\r\n \nx\tO\n")
    assert read_tagged(path).tokens == [["New York", "#"], ["x"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conll", "a O\nb\n", "a.conll, line 2: expected 2 columns with spaces between them, as in"),
        ("a.conll", "a\tO\n\nb\tO\tX\n", "line 3: expected 2 columns with tabs between them, as in line 1"),
        ("a.conll", "a\t\n", "line 1: column 1 is empty"),
        ("a.conll", "a\n", "line 1: expected a token and its tag with a tab or space, got 1 column"),
        ("a.conll", "\n\n", "line 1: expected a token in each line and a blank line between sentences"),
        ("a.conllu", "1\ta\tO\n", "line 1: expected 10 columns with tabs between them, of CoNLL-U, got 3"),
        ("a.conllu", CONLLU.replace("3\tmar", "4\tmar"), "line 8: expected the ID 3, a range such as 1-2 or"),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}\n', "row 1: expected a list of texts in the column"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["O", "O"]}\n', "row 1: expected a tag for each of 1"),
        ("a.jsonl", '{"tokens": "a", "tags": ["O"]}\n', "row 1: expected a list of texts in the column"),
        ("a.jsonl", '{"tokens": ["a", 1.5], "tags": ["O", "O"]}\n', "row 1: expected texts in the list"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(FileFormatError) as wrong:
        read_tagged(write(tmp_path, name, content))
    assert message in str(wrong.value)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conll", "a O\n")
    for wrong in (2, -3, "2"):
        with pytest.raises(ArgumentError, match="tag: expected a column from 0 to 1, which"):
            read_tagged(path, tag=wrong)
    with pytest.raises(ArgumentError, match="token: expected the number of a column, from 0 to 1"):
        read_tagged(path, token="FORM")


def test_lists_in_tables_and_other_encodings(tmp_path: Path) -> None:
    rows = [{"words": ["존은", "간다"], "ner": [1, 0]}, {"words": ["네"], "ner": [0]}]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = read_tagged(path, token="words", tag="ner")
    assert (found.tokens, found.tags) == ([["존은", "간다"], ["네"]], [["1", "0"], ["0"]])
    packed = tmp_path / "b.conll.gz"
    packed.write_bytes(gzip.compress("존은 B-PER\n".encode("cp949")))
    assert read_tagged(packed, encoding="cp949").tokens == [["존은"]]
    with pytest.raises(FileFormatError, match=r"b\.conll\.gz, line 1: byte 1 of the text, 0x.., is"):
        read_tagged(packed)
    assert is_conll_file(packed)
    assert not is_conll_file(path)


@pytest.mark.parametrize(("name", "content"), [("a.conll", CONLL), ("a.conllu", CONLLU)])
def test_a_column_is_added_and_all_else_stays(tmp_path: Path, name: str, content: str) -> None:
    file = read_conll(write(tmp_path, name, content))
    tags = [[f"T{len(one.columns)}" for one in sentence] for sentence in file.sentences]
    lines = list(file.with_column(tags))
    kept = [line.removesuffix(f" T{file.width}").removesuffix(f"\tT{file.width}") for line in lines]
    assert [one.removesuffix(" _") if one.startswith("-D") else one for one in kept] == [
        f"{line}\t_" if line.startswith(("1-2", "2.1")) else line for line in content.splitlines()
    ]
    assert sum(line.endswith(f"T{file.width}") for line in lines) == sum(map(len, file.sentences))
