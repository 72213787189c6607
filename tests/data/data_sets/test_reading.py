"""Published formats and nabi's own give the same; files that are damaged or strange are refused."""

import gzip
import io
import json
import lzma
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from nabi.datasets import fake_news, imdb, nsmc, reuters
from nabi.errors import FileFormatError, NabiError, UnknownNameError

from .conftest import Stories, as_sgml, write_archive, write_json_lines, write_reviews


def sgml_archive(path: Path, stories: Stories) -> Path:
    """Two files; the stories are neither in their order nor divided by it."""
    files = {
        "reut2-001.sgm": as_sgml(stories[::2][::-1]).encode("latin-1"),
        "README.txt": b"no stories: <REUTERS></REUTERS>",
        "./reut2-000.sgm": as_sgml(stories[1::2]).encode("latin-1"),
    }
    return write_archive(path, files)


def test_reuters_in_both_formats(tmp_path: Path, stories: Stories) -> None:
    lines = write_json_lines(tmp_path / "stories.jsonl", stories)
    archive = sgml_archive(tmp_path / "reuters21578.tar.gz", stories)
    for seed in (0, 113):
        from_lines, from_archive = (reuters.load_texts(path, seed=seed) for path in (lines, archive))
        assert from_lines == from_archive
    texts = [text for part in from_lines for text in part[0]]
    labels = [label for part in from_lines for label in part[1]]
    assert Counter(labels) == {"earn": 16, "acq": 15}
    assert all("gold" not in label for label in labels)
    bodies = [text for text in texts if text.startswith("Profits & losses of ")]
    assert all(text.endswith(" mln,\nup \u00fc.\n Reuter") for text in bodies)
    headlines = sorted(text for text in texts if text not in bodies)
    assert headlines == [f"TITLE <X> {n}" for n in (10, 15, 25, 30, 40, 45)]
    assert reuters.get_word_index(lines) == reuters.get_word_index(archive)
    assert reuters.load_data(lines)[0][0].tolist() == reuters.load_data(archive)[0][0].tolist()


def test_a_folder_with_the_archive(tmp_path: Path, stories: Stories) -> None:
    sgml_archive(tmp_path / "reuters21578.tar.gz", stories)
    assert reuters.load_texts(tmp_path) == reuters.load_texts(tmp_path / "reuters21578.tar.gz")


def test_a_story_that_nobody_took_apart(tmp_path: Path, stories: Stories) -> None:
    odd = (
        '<REUTERS TOPICS="YES" NEWID="100"><TOPICS><D>earn</D></TOPICS>'
        '<TEXT TYPE="UNPROC">&#2;\n*****<A DLR> ROSE &amp; FELL\n\n&#3;</TEXT></REUTERS>'
    )
    content = (as_sgml(stories) + odd.replace("<A DLR>", "&lt;A DLR>")).encode("latin-1")
    archive = write_archive(tmp_path / "r.tar.gz", {"reut2-000.sgm": content})
    texts, _ = reuters.load_texts(archive, test_split=0)[0]
    assert "*****<A DLR> ROSE & FELL" in texts


def test_split_of_reuters(tmp_path: Path, stories: Stories) -> None:
    path = write_json_lines(tmp_path / "stories.jsonl", stories)
    (whole, _), (nothing, _) = reuters.load_texts(path, test_split=0)
    assert (len(whole), nothing) == (31, [])
    (training, _), (test, _) = reuters.load_texts(path)
    assert len(training) == int(31 * 0.8)
    assert training + test == whole
    assert reuters.load_texts(path, seed=7)[0] != reuters.load_texts(path)[0]
    assert reuters.load_texts(path, test_split=1)[0] == ([], [])


def review_archive(path: Path, *odd: tarfile.TarInfo) -> Path:
    reviews = {
        "aclImdb/train/neg/0_3.txt": "Bad, <br />bad \u00e9.",
        "aclImdb/train/pos/0_9.txt": "Good.",
        "aclImdb/train/pos/1_7.txt": ' "Quoted"\u0085line ',
        "aclImdb/train/unsup/0_0.txt": "Nobody knows.",
        "aclImdb/train/urls_pos.txt": "http://",
        "aclImdb/test/pos/0_10.txt": "Good again.",
        "aclImdb/test/neg/0_1.txt": "",
    }
    return write_archive(path, {name: text.encode() for name, text in reviews.items()}, *odd)


def test_imdb_archive(tmp_path: Path) -> None:
    training, test = imdb.load_texts(review_archive(tmp_path / "aclImdb_v1.tar.gz"))
    assert sorted(zip(*training, strict=True)) == [
        (' "Quoted"\u0085line ', "positive"),
        ("Bad, <br />bad \u00e9.", "negative"),
        ("Good.", "positive"),
    ]
    assert sorted(zip(*test, strict=True)) == [("", "negative"), ("Good again.", "positive")]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_imdb_table(tmp_path: Path, suffix: str) -> None:
    rows = [("test", 0, 'Not "good",\nno'), ("train", 1, "Good"), ("train", 0, "Bad"), ("test", 1, "Fine")]
    path = write_reviews(tmp_path / f"imdb.csv{suffix}", rows)
    training, test = imdb.load_texts(path)
    assert sorted(zip(*training, strict=True)) == [("Bad", "negative"), ("Good", "positive")]
    assert sorted(zip(*test, strict=True)) == [("Fine", "positive"), ('Not "good",\nno', "negative")]


def test_an_archive_is_read_and_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    link = tarfile.TarInfo("aclImdb/train/pos/2_9.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    out = tarfile.TarInfo("../../out/train/pos/3_9.txt")
    training, _ = imdb.load_texts(review_archive(tmp_path / "odd.tar.gz", link, out))
    assert len(training[0]) == 4, "the link is no file; the other name is only a name"
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "odd.tar.gz"]


def test_a_file_that_claims_to_be_huge(tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    member = tarfile.TarInfo("train/pos/1_9.txt")
    member.size = 1 << 36
    path.write_bytes(member.tobuf())
    with pytest.raises(FileFormatError, match=r"train/pos/1_9\.txt has 68,719,476,736 bytes, too many"):
        imdb.load_texts(path)


@pytest.fixture(scope="module")
def whole_archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = review_archive(tmp_path_factory.mktemp("whole") / "aclImdb_v1.tar.gz")
    return path.read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_that_is_cut_or_changed(whole_archive: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """It is refused, or what is damaged does not matter to what is in it; never another error."""
    place = data.draw(st.integers(0, len(whole_archive) - 1))
    path = tmp_path / "damaged.tar.gz"
    if data.draw(st.booleans()):
        path.write_bytes(whole_archive[:place])
    else:
        path.write_bytes(
            whole_archive[:place] + bytes([whole_archive[place] ^ 0x55]) + whole_archive[place + 1 :]
        )
    said = ""
    try:
        training, test = imdb.load_texts(path)
    except FileFormatError as problem:
        said = str(problem)
    if said:
        assert said.startswith(f"path: {path}")
        assert "\n" not in said
    else:
        assert (len(training[0]), len(test[0])) == (3, 2)


def test_archives_without_what_is_wanted(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.gz", {"train/pos/0_9.txt": b"Good"})
    with pytest.raises(FileFormatError, match="has no reviews with the split test"):
        imdb.load_texts(path)
    with pytest.raises(FileFormatError, match="has no file whose name matches"):
        reuters.load_texts(path)
    write_archive(path, {"train/pos/0_9.txt": b"\xff\xfe", "test/pos/0_9.txt": b"Good"})
    with pytest.raises(FileFormatError, match=r"train/pos/0_9\.txt is not UTF-8"):
        imdb.load_texts(path)
    write_archive(path, {"reut2-000.sgm": b"<REUTERS TOPICS='YES'></REUTERS>"})
    with pytest.raises(FileFormatError, match=r"a story in reut2-000\.sgm has no NEWID"):
        reuters.load_texts(path)
    (tmp_path / "none.tar.gz").write_bytes(gzip.compress(b"no archive" * 100))
    with pytest.raises(FileFormatError, match="is damaged or not an archive"):
        imdb.load_texts(tmp_path / "none.tar.gz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "1"}, "row 3: expected id a number"),
        ({"topics": "earn"}, "row 3: expected id a number, topics a list"),
        ({"topics": [1]}, "row 3: expected id a number, topics a list"),
        ({"body": None}, "row 3: expected id a number, topics a list of texts, title and body texts"),
        ({"topics": ["sport"]}, "has no topic with 15 stories or more"),
    ],
)
def test_stories_that_are_none(
    tmp_path: Path, stories: Stories, change: dict[str, object], message: str
) -> None:
    if "sport" in str(change):
        stories = [story | change for story in stories[:14]]
    else:
        stories[2] |= change
    with pytest.raises(FileFormatError, match=message):
        reuters.load_texts(write_json_lines(tmp_path / "stories.jsonl", stories))


def test_topics_that_the_task_does_not_have(tmp_path: Path, stories: Stories) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", [story | {"topics": ["sport"]} for story in stories])
    with pytest.raises(FileFormatError, match="expected one of the 46 topics, got sport"):
        reuters.load_texts(path)


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = write_reviews(tmp_path / "r.csv", [("train", 1, "Good"), ("dev", 0, "Bad")])
    with pytest.raises(FileFormatError, match="row 2, split: expected train or test, got 'dev'"):
        imdb.load_texts(path)
    write_reviews(path, [("train", 1, "Good"), ("test", 2, "Bad")])
    with pytest.raises(FileFormatError, match="row 2, label: expected 0 or 1, got '2'"):
        nsmc.load_texts(path)
    path.write_text("split,text\ntrain,Good\n")
    with pytest.raises(UnknownNameError, match="'label' is not known"):
        imdb.load_texts(path)
    cut = tmp_path / "cut.csv.xz"
    cut.write_bytes(lzma.compress(b"split,label,text\n" + b"train,1,Good\n" * 1000)[:-40])
    with pytest.raises(FileFormatError, match="is damaged"):
        imdb.load_texts(cut)


def test_nsmc_as_it_is_published(tmp_path: Path) -> None:
    """Tabs between the columns, quotation marks that mean nothing, reviews without a word."""
    header = "id\tdocument\tlabel\n"
    (tmp_path / "ratings_train.txt").write_text(
        header + '1\t"좋다, 정말\t1\n2\t\t0\n3\t"두 번" 봤다\t1\n', encoding="utf-8"
    )
    (tmp_path / "ratings_test.txt").write_text(header + "4\t별로\t0\n", encoding="utf-8")
    training, test = nsmc.load_texts(tmp_path)
    assert sorted(zip(*training, strict=True)) == [
        ("", "negative"),
        ('"두 번" 봤다', "positive"),
        ('"좋다, 정말', "positive"),
    ]
    assert test == (["별로"], ["negative"])
    assert nsmc.get_word_index(tmp_path) == {"두": 1, "번": 2, "봤다": 3, "정말": 4, "좋다": 5}
    (x, y), (x_test, y_test) = nsmc.load_data(tmp_path)
    assert sorted(x.tolist()) == [[1], [1, 4, 5, 6], [1, 8, 7]]
    assert (x_test.tolist(), y_test.tolist(), sorted(y.tolist())) == ([[1]], [0], [0, 1, 1])
    (tmp_path / "ratings_test.txt").write_text(header + "4\t별로\t0\t9\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="line 2: expected 3 fields as in the header, got 4"):
        nsmc.load_texts(tmp_path)


@pytest.mark.parametrize("prefix", ["", "covid_fake_news_"])
def test_fake_news(tmp_path: Path, prefix: str) -> None:
    rows = {
        "Constraint_Train.csv": '1,"Garlic cures, they say",fake\r\n2,Tests rose.,real\r\n3,Tests fell.,real',
        "Constraint_Val.csv": "1,Cases rose.,real",
        "english_test_with_labels.csv": "1,Garlic!,fake",
    }
    for name, text in rows.items():
        (tmp_path / f"{prefix}{name}").write_bytes(b"id,tweet,label\r\n" + text.encode())
    training, validation, test = fake_news.load_texts(tmp_path)
    assert sorted(zip(*training, strict=True)) == [
        ("Garlic cures, they say", "fake"),
        ("Tests fell.", "real"),
        ("Tests rose.", "real"),
    ]
    assert (validation, test) == ((["Cases rose."], ["real"]), (["Garlic!"], ["fake"]))
    (_, y), (x_validation, y_validation), (x_test, y_test) = fake_news.load_data(tmp_path)
    index = fake_news.get_word_index(tmp_path)
    assert index["tests"] == 1
    assert "cases" not in index, "the words of the training posts"
    assert x_validation.tolist() == [[1, index["rose"] + 3]]
    assert x_test.tolist() == [[1, index["garlic"] + 3]]
    assert (sorted(y.tolist()), y_validation.tolist(), y_test.tolist()) == ([0, 1, 1], [1], [0])
    (tmp_path / f"{prefix}Constraint_Val.csv").write_text("id,tweet,label\n1,Cases rose.,true\n")
    with pytest.raises(FileFormatError, match="row 1, label: expected real or fake, got 'true'"):
        fake_news.load_texts(tmp_path)


@given(content=st.binary(max_size=300), name=st.sampled_from(["r.jsonl", "r.tar.gz", "r.jsonl.xz", "r.tar"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NabiError):
        reuters.load_texts(tmp_path / name)


def test_samples_are_what_they_seem(stories: Stories) -> None:
    """The writers of these tests write what the readers are meant to meet."""
    assert json.loads(json.dumps(stories)) == stories
    assert "&lt;X> 10" in as_sgml(stories).replace("&gt;", ">")
    assert io.BytesIO(as_sgml(stories).encode("latin-1")).read().count(b"<REUTERS ") == 47
