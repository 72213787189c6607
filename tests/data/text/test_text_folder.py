"""Folders and `.zip` files of texts: which files are read, in which order, and what is left out."""

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from nabi.data import _text_folder, read_table, read_text_folder
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

FILES = {
    "pos/10.txt": b"warm\r\n",
    "pos/9.md": "유쾌".encode("utf-16"),
    "neg/x/1.py": b"dull()",
    "neg/x/app.ts": b"@Component({})\nclass App {}",
    "neg/x/flow.ts": b"# Of a gauge\n@problemName flow\n@data\n1,2:low\n",
    "README": b"all of it",
    "neg/picture.png": b"\x89PNG",
    "neg/binary.txt": b"a\0b",
    "neg/latin.txt": b"one\ncaf\xe9",
    ".git/config.txt": b"hidden",
    "pos/.draft.txt": b"hidden",
    "__MACOSX/pos/._10.txt": b"hidden",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "reviews" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "reviews"


def packed(folder: Path, above: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(f"{above}{name}", content)
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "zip of a folder"])
def test_texts_come_in_order_with_their_folders_and_the_rest_is_named(folder: Path, kind: str) -> None:
    place = folder if kind == "folder" else packed(folder, "reviews/" if "of" in kind else "")
    found = read_text_folder(place)
    assert found.files == ["README", "neg/x/1.py", "neg/x/app.ts", "pos/9.md", "pos/10.txt"]
    assert found.texts == ["all of it", "dull()", "@Component({})\nclass App {}", "유쾌", "warm\n"]
    assert found.labels == [None, "neg", "neg", "pos", "pos"]
    binary, latin, other = found.skipped
    assert binary == "neg/binary.txt: it is binary, or not utf-8"
    assert latin.startswith("neg/latin.txt: line 2: byte 0xe9 is not utf-8; pass its encoding")
    assert "1 .png" in other
    assert "1 .ts" in other
    assert "caf\xe9" in read_text_folder(place, encoding="latin-1").texts[1]
    table = read_table(place, wrong_rows="keep")
    assert table.columns.keys() == {"file", "label", "text"}
    assert [text for row, text in enumerate(table["text"]) if row not in table.wrong] == found.texts
    assert sorted(table.wrong.values()) == [binary, latin]
    assert "1 .png" in table.note
    with pytest.raises(FileFormatError, match=r"neg/binary\.txt"):
        read_table(place)


def test_a_file_that_is_no_regular_one_or_cannot_be_read_stops_nothing(folder: Path) -> None:
    os.mkfifo(folder / "pos" / "pipe.txt")
    (folder / "pos" / "loop.txt").symlink_to("loop.txt")
    (folder / "pos" / "again").symlink_to(folder)
    assert len(read_text_folder(folder)) == 5


def test_nothing_of_an_archive_is_written_and_its_size_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_text_folder, "_LARGEST", 1000)
    monkeypatch.setattr(_text_folder, "_LARGEST_ARCHIVE", 5000)
    path = tmp_path / "inside" / "bomb.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../out.txt", "a")
        archive.writestr("/etc/absolute.txt", "b")
        archive.writestr("d\\windows.txt", "c")
        archive.writestr("long.txt", "x" * 1001)
    found = read_text_folder(path)
    assert found.files == ["d/windows.txt", "etc/absolute.txt"]
    assert found.skipped == ("long.txt: it is larger than 100 MB",)
    assert [one.name for one in tmp_path.rglob("*")] == ["inside", "bomb.zip"]
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(6):
            archive.writestr(f"{number}.txt", "y" * 1000)
    with pytest.raises(FileFormatError, match=r"^path: the texts of .* unpack it, and name the folder$"):
        read_text_folder(path)


def test_damaged_and_protected_members_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("good", "bad", "locked"):
            archive.writestr(f"{name}.txt", f"a {name} text")
    content = bytearray(path.read_bytes().replace(b"a bad text", b"a bet text"))
    # The flags of a member stand in the directory at the end of the archive, before its name.
    content[content.rindex(b"locked.txt") - 38] |= 1
    path.write_bytes(content)
    found = read_text_folder(path)
    assert found.texts == ["a good text"]
    assert [one.split(":")[0] for one in found.skipped] == ["bad.txt", "locked.txt"]
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = tmp_path / "packed.zip"
        with zipfile.ZipFile(packed, "w", kind) as archive:
            archive.writestr("bad.txt", "a bad text " * 100)
            archive.writestr("good.txt", "a good text")
        # What is packed begins after the name: its first bytes are wrong.
        start = packed.read_bytes()
        packed.write_bytes(start[:37] + b"\xff" * 12 + start[49:])
        assert read_text_folder(packed).texts == ["a good text"]
    path.write_bytes(content[:-30])
    with pytest.raises(FileFormatError, match=r"damaged or not a \.zip"):
        read_text_folder(path)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda place: place / "none", MissingFileError, "no folder or file"),
        (lambda place: place, ArgumentError, r"expected texts in .*\.txt.*got no file"),
        (lambda place: Path(__file__), ArgumentError, r"expected a folder or a \.zip file"),
    ],
)
def test_what_holds_no_texts_is_refused(tmp_path: Path, make, error, message) -> None:
    with pytest.raises(error, match=message):
        read_text_folder(make(tmp_path))


def test_an_unknown_encoding_is_refused_before_anything_is_read(folder: Path) -> None:
    for read in (read_text_folder, read_table):
        with pytest.raises(ArgumentError, match="encoding: expected a text encoding"):
            read(folder, encoding="utf-9")  # type: ignore[operator]


def test_names_of_korean_archives_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("AAAA/1.txt", "BBBB/1.txt"):
            archive.writestr(name, "가")
    content = path.read_bytes().replace(b"AAAA", "긍정".encode("cp949")).replace(
        b"BBBB", "부정".encode("cp949")
    )  # fmt: skip
    path.write_bytes(content)
    assert read_text_folder(path).labels == ["긍정", "부정"]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**30), min_size=1), st.lists(st.text("ab1٣/", min_size=1), min_size=2))
def test_numbers_in_names_are_ordered_by_their_value(numbers: list[int], names: list[str]) -> None:
    made = [f"part {number}.txt" for number in numbers]
    assert sorted(made, key=_text_folder._place) == [f"part {number}.txt" for number in sorted(numbers)]
    ordered = sorted(names, key=_text_folder._place)
    names.reverse()
    assert ordered == sorted(names, key=_text_folder._place)
