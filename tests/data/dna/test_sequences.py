"""FASTA, FASTQ and tables of DNA, with labels of sequences and of bases, and what is wrong with them."""

import gzip
from pathlib import Path

import pytest

from nabi.data import read_dna
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, NabiError, UnknownNameError

FASTA = """; a comment
>s1 first gene promoter
ACGTac
 gtNN

>s2 class=other strand=+
uuga
>s3 empty
>s4 label=promoter
RYACG
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["genes.fasta", "genes.fa.gz", "genes"])
def test_fasta(tmp_path, name) -> None:
    path = written(tmp_path, name, FASTA)
    found = read_dna(path, label_from="header")
    assert found.sequences == ["ACGTACGTNN", "TTGA", "RYACG"]
    assert found.names == ["s1", "s2", "s4"]
    assert found.labels == ["promoter", "other", "promoter"]
    assert found.places == [f"{path}, line {line}" for line in (2, 6, 9)]
    assert found.skipped == (f"{path}, line 8: the sequence 's3' is empty",)
    assert read_dna(path).labels is None
    assert read_dna(path).base_labels is None


def test_windows_line_ends_and_a_pattern_for_labels(tmp_path) -> None:
    path = written(tmp_path, "a.fa", ">x|EI|7\r\nACG\r\nTTT\r\n>y|IE|8\r\nA\r\n")
    found = read_dna(path, label_from="header", label_pattern=r"\|(\w+)\|")
    assert (found.sequences, found.labels) == (["ACGTTT", "A"], ["EI", "IE"])
    with pytest.raises(FileFormatError, match=r"a\.fa, line 1: the header 'x\|EI\|7' has no label"):
        read_dna(path, label_from="header")
    with pytest.raises(FileFormatError, match="line 1: the header"):
        read_dna(path, label_from="header", label_pattern="(nothing)")


def test_fastq_of_one_and_of_several_lines(tmp_path) -> None:
    # Qualities may begin with @ and +.
    path = written(tmp_path, "reads.fastq.gz", "@r1 a\nACGT\n+\n@+II\n@r2 b\nAC\nGT\n+r2\n+I\n@@\n\n")
    found = read_dna(path, label_from="header")
    assert (found.sequences, found.labels) == (["ACGT", "ACGT"], ["a", "b"])
    assert [place.rsplit(" ", 1)[1] for place in found.places] == ["1", "5"]


def test_labels_from_the_names_of_files_and_folders(tmp_path) -> None:
    for name in ("exon.part.fa", "intron.fastq"):
        text = ">a\nACGT\n>b\nGG\n" if name.endswith("fa") else "@c\nTT\n+\nII\n"
        written(tmp_path, f"{name.split('.')[0]}s/{name}", text)
    written(tmp_path, "notes.txt", "not DNA")
    assert read_dna(tmp_path, label_from="name").labels == ["exon", "exon", "intron"]
    assert read_dna(str(tmp_path), label_from="folder").labels == ["exons", "exons", "introns"]
    both = [tmp_path / "introns" / "intron.fastq", tmp_path / "exons" / "exon.part.fa"]
    assert read_dna(both, label_from="name").labels == ["intron", "exon", "exon"]


def test_tables(tmp_path) -> None:
    path = written(tmp_path, "t.csv", "class,name,Sequence,structure\nEI,a,ac g,EEI\nIE,b,NN,II\nN,c,,\n")
    found = read_dna(path, label_from="class", base_labels="structure")
    assert (found.sequences, found.names, found.labels) == (["ACG", "NN"], ["a", "b"], ["EI", "IE"])
    assert found.base_labels == [["E", "E", "I"], ["I", "I"]]
    assert found.skipped == (f"{path}, row 3: the sequence 'c' is empty",)
    assert read_dna(path, sequence="Sequence", label_from="name").labels == ["a", "b"]  # a column
    other = written(tmp_path, "promoters.tsv", "letters\tkind\nACG\t1\n")
    assert read_dna(other, sequence="letters", label_from="kind").names == ["1"]
    lines = written(tmp_path, "t.jsonl", '{"dna": "ACG", "kind": 1}\n{"dna": "TT", "kind": 0}\n')
    assert read_dna(lines, label_from="kind").labels == ["1", "0"]


def test_labels_of_bases(tmp_path) -> None:
    genes = written(tmp_path, "genes.fa", ">a\nACGTA\n>none\n>b\nCC\n")
    texts = written(tmp_path, "labels.fa", ">b\nxy\n>a whole\nEEE\nII\n>none\n>more\nE\n")
    assert read_dna(genes, base_labels=texts).base_labels == [list("EEEII"), ["x", "y"]]
    bed = written(
        tmp_path, "genes.bed", "# made\ntrack name=x\na\t0\t2\texon\t0\t+\na\t2\t4\tintron\nb 1 2 exon\n"
    )
    found = read_dna(genes, base_labels=bed, outside="rest").base_labels
    assert found == [["exon", "exon", "intron", "intron", "rest"], ["rest", "exon"]]
    packed = written(tmp_path, "genes.bed.gz", "a\t0\t5\texon\na\t4\t5\texon\n")
    assert read_dna(genes, base_labels=packed).base_labels == [["exon"] * 5, ["none"] * 2]


BAD = {
    ">a\nACGT\nAXGT\n": r"bad, line 3: expected the bases .*, got 'X' in the sequence 'a'",
    ">a\nAC-GT\n": "line 2: expected the bases .*, got '-'",
    "": "line 1: the file has no sequence; expected FASTA or FASTQ",
    "\n\n; only a comment\n": "the file has no sequence",
    "ACGT\n": "line 1: expected FASTA, which begins with '>', or FASTQ, .* got 'ACGT'",
    "@a\nACGT\n": "line 2: the record '@a' ends before its '\\+' line",
    "@a\nACGT\n+\nIII\n": "the record '@a' has 4 bases and 3 qualities",
    "@a\nACGT\n+\nIIIII\n": "line 4: the record '@a' has 4 bases and 5 qualities",
    "@a\nA\n+\nI\nACGT\n": "line 5: expected a record that begins with '@', got 'ACGT'",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_with_a_file_is_named_with_its_line(tmp_path, text) -> None:
    with pytest.raises(FileFormatError, match=BAD[text]):
        read_dna(written(tmp_path, "bad", text))


def test_wrong_tables_and_damaged_files(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"row 2: expected the bases .*, got 'J' in the column 'seq'"):
        read_dna(written(tmp_path, "t.csv", "seq,kind\nACG,1\nACJ,0\n"))
    with pytest.raises(FileFormatError, match="row 2: the label is missing"):
        read_dna(written(tmp_path, "t.csv", "seq,kind\nACG,1\nAC,\n"), label_from="kind")
    with pytest.raises(FileFormatError, match="row 1: expected 3 labels, one for each base, got 2"):
        read_dna(written(tmp_path, "t.csv", "seq,kind\nACG,EE\n"), base_labels="kind")
    path = written(tmp_path, "t.csv", "letters,kind\nACG,1\n")
    with pytest.raises(ArgumentError, match=r"expected the column of the sequences; .* letters, kind"):
        read_dna(path)
    with pytest.raises(UnknownNameError, match="did you mean 'letters'"):
        read_dna(path, sequence="leters")
    with pytest.raises(UnknownNameError, match="label_from: 'knd' is not known; did you mean 'kind'"):
        read_dna(path, sequence="letters", label_from="knd")
    whole = written(tmp_path, "genes.fa.gz", ">a\n" + "ACGTTGCA" * 500)
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(FileFormatError, match="is damaged or cut short"):
        read_dna(whole)


def test_labels_of_bases_that_do_not_fit(tmp_path) -> None:
    genes = written(tmp_path, "genes.fa", ">a\nACGTA\n>b\nCC\n")
    for name, text, message in [
        ("l.fa", ">a\nEEEE\n>b\nEE\n", r"l\.fa, line 1: expected 5 labels, one for each base, got 4"),
        ("l.fa", ">a\nEEEEE\n", "has no labels for the sequence 'b'"),
        ("l.bed", "a\t0\t6\texon\n", "line 1: expected an interval within the 5 bases of a, .* got 0 to 6"),
        ("l.bed", "a\t3\t3\texon\n", "got 3 to 3"),
        ("l.bed", "a\t-1\t3\texon\n", "got -1 to 3"),
        ("l.bed", "a\tx\t3\texon\n", "expected start and end as whole numbers, got 'x' and '3'"),
        ("l.bed", "a\t1\t3\n", "line 1: expected name, start, end and label"),
        ("l.bed", "\nc\t1\t3\texon\n", "line 2: the sequence: 'c' is not known"),
        ("l.bed", "a\t0\t3\texon\na\t2\t4\tintron\n", "line 2: base 2 of a is 'exon' already; got 'intron'"),
    ]:
        with pytest.raises(FileFormatError, match=message):
            read_dna(genes, base_labels=written(tmp_path, name, text))
    twice = written(tmp_path, "twice.fa", ">a\nAC\n>a\nCC\n")
    with pytest.raises(ArgumentError, match="expected sequences with different names, got 'a' several times"):
        read_dna(twice, base_labels=written(tmp_path, "l.bed", "a\t0\t1\tx\n"))
    with pytest.raises(ArgumentError, match="outside: expected a label, got ''"):
        read_dna(genes, base_labels=tmp_path / "l.bed", outside="")


def test_wrong_arguments(tmp_path) -> None:
    genes = written(tmp_path, "genes.fa", ">a\nACGTA\n")
    cases: list[tuple[dict, type[NabiError], str]] = [
        ({"paths": tmp_path / "none.fa"}, MissingFileError, "there is no file"),
        ({"paths": []}, ArgumentError, "paths: expected a file, a folder or a list of files"),
        ({"paths": 3}, ArgumentError, "paths: expected a path or a list, got 3"),
        ({"label_from": "class"}, UnknownNameError, "expected header, name or folder for FASTA and FASTQ"),
        ({"label_from": 3}, ArgumentError, "label_from: expected a text or None, got 3"),
        (
            {"label_pattern": "(a)"},
            ArgumentError,
            "label_pattern: expected None unless label_from is 'header'",
        ),
        ({"label_from": "header", "label_pattern": "("}, ArgumentError, "expected a regular expression"),
        ({"label_from": "header", "label_pattern": "a"}, ArgumentError, "label_pattern: expected a group"),
        ({"sequence": "x"}, ArgumentError, "sequence: expected None for FASTA and FASTQ, got 'x'"),
        ({"base_labels": tmp_path / "none.bed"}, MissingFileError, "there is no file"),
    ]
    for said, kind, message in cases:
        with pytest.raises(kind, match=message):
            read_dna(**{"paths": genes, **said})
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="there is no FASTA or FASTQ file in the folder"):
        read_dna(tmp_path / "empty")
    with pytest.raises(ArgumentError, match=r"none of 2 sequences can be used: .* line 1: the"):
        read_dna(written(tmp_path, "none.fa", ">a\n>b\n"))
    with pytest.raises(ArgumentError, match="expected FASTA and FASTQ files, or one table, got 2 files"):
        read_dna([genes, written(tmp_path, "t.csv", "seq\nA\n")])
