"""`nabi train FOLDER --label-from ...` and `nabi recognise`, also for a stream."""

import io
import json
import sys

import numpy as np
import pytest

from nabi.data import write_wav

from .logged import check_logged

RATE = 8000
SMALL = ["--units", 16, "--learning-rate", 0.02, "--batch-size", 8, "--warp", 0, "--threads", 1]


def tone(hertz: float, random, seconds: float = 0.2):
    times = np.arange(int(RATE * seconds)) / RATE
    loud = 0.5 * np.sin(2 * np.pi * hertz * times) * np.hanning(len(times))
    return loud + 0.003 * random.normal(size=len(times))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Low and high tones of two speakers."""
    folder, random = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for number in range(48):
        name, hertz = (("low", 400), ("high", 1500))[number % 2]
        path = folder / f"{name}_{'ab'[number // 2 % 2]}_{number:02}.wav"
        write_wav(path, tone(hertz * (1 + 0.05 * random.random()), random), RATE)
    return folder


def trained(arguments):
    from nabi.cli import main

    with pytest.raises(SystemExit) as end:
        main([str(one) for one in arguments])
    assert not end.value.code


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / "tones.nabi"
    (folder / "low_a_99.wav").write_bytes(b"RIFF")
    trained(["train", folder, "--label-from", "name", "--group-pattern", "_(.)_", *SMALL, "--epochs", 8,
             "--out", place, "--log-dir", place.parent / "logs"])  # fmt: skip
    (folder / "low_a_99.wav").unlink()
    return place


def test_a_folder_becomes_a_model_with_figures(model) -> None:
    figures = json.loads(model.with_suffix(".json").read_text())
    report = figures["report"]
    # A speaker of two is held out.
    assert (report["train"], report["held_out"]) == (24, 24)
    assert report["scores"]["accuracy"] == 1.0
    assert report["verdict"]
    assert "low_a_99.wav is not a WAV file" in figures["skipped"][0]
    check_logged(model.parent / "logs", model.with_suffix(".json"))
    assert not model.with_suffix(".training").exists()
    assert model.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_recordings_are_recognised(model, folder, nabi) -> None:
    files = sorted(folder.glob("*.wav"))[:2] + sorted(folder.glob("*.wav"))[-1:]
    outcome = nabi("recognise", model, *files)
    assert outcome.status == 0
    said = [
        line.removeprefix(f"{path}: ") for path, line in zip(files, outcome.out.splitlines(), strict=True)
    ]
    assert [one.split()[0] for one in said] == ["high", "high", "low"]
    outcome = nabi("recognise", model, files[0], "--top", 2)
    assert outcome.out.startswith("high (")
    assert ", low (" in outcome.out


def test_they_are_predicted_and_measured_as_other_sequences(model, folder, nabi) -> None:
    files = sorted(folder.glob("*.wav"))
    outcome = nabi("predict", model, files[0], files[-1])
    assert outcome.status == 0
    assert ["high" in line.split(",")[1] for line in outcome.out.splitlines()[-2:]] == [True, False]
    table = folder / "table.csv"
    table.write_text("file,label\n" + "".join(f"{path.name},{path.name.split('_')[0]}\n" for path in files))
    outcome = nabi("evaluate", model, table)
    table.unlink()
    assert outcome.status == 0
    assert "accuracy 1.0" in outcome.out


def test_results_as_rows_and_a_recording_that_cannot_be_read(model, folder, nabi, tmp_path) -> None:
    files = sorted(folder.glob("*.wav"))
    (tmp_path / "bad.wav").write_text("no sound")
    words = ("recognise", model, files[0], tmp_path / "bad.wav", files[-1], "--top", 2)
    done = nabi(*words, "--json")
    assert done.status == 0
    assert "1 of 3 recordings could not be read and have no label" in done.err
    found = list(map(json.loads, done.out.splitlines()))
    assert [one["label"] for one in found] == ["high", "", "low"]
    assert "bad.wav" in found[1]["error"]
    assert nabi(*words, "--out", tmp_path / "x.csv").out == ""
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == "recording,label,probability,label_2,probability_2"
    assert lines[2].endswith("bad.wav,,,,")
    done = nabi("recognise", model, tmp_path / "bad.wav", "--json")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)


def stream_of(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def spoken(random, *tones: float):
    """Tones with pauses."""
    parts = [0.003 * random.normal(size=4000)]
    for hertz in tones:
        parts += [tone(hertz, random), 0.003 * random.normal(size=3000)]
    return np.concatenate(parts)


def test_a_stream_is_recognised_as_it_comes(model, nabi, monkeypatch, tmp_path) -> None:
    sound = spoken(np.random.default_rng(1), 400, 1500, 1500)
    write_wav(tmp_path / "stream.wav", sound, RATE)
    content = (tmp_path / "stream.wav").read_bytes()
    stream_of(monkeypatch, content)
    outcome = nabi("recognise", model, "--stream")
    assert outcome.status == 0
    assert [line.split()[1] for line in outcome.out.splitlines()] == ["low", "high", "high"]
    times = [float(line.split()[0]) for line in outcome.out.splitlines()]
    assert times == sorted(times)
    assert "s of sound (16 bit, mono, 8000 Hz)" in outcome.err
    assert "ms per 10 ms" in outcome.err
    stream_of(monkeypatch, content)
    rows = list(map(json.loads, nabi("recognise", model, "--stream", "--json").out.splitlines()))
    assert [row["label"] for row in rows] == ["low", "high", "high"]
    assert [f"{row['seconds']:.2f}" for row in rows] == [f"{time:.2f}" for time in times]
    stream_of(monkeypatch, content[44:])
    assert nabi("recognise", model, "--stream", "--raw", RATE).out == outcome.out


def test_texts_from_a_table(folder, nabi, tmp_path, monkeypatch, capsys) -> None:
    random, place = np.random.default_rng(2), tmp_path / "said"
    lines, names = ["file,text"], {"low": 400.0, "high": 1500.0}
    for number in range(32):
        words = random.choice(list(names), random.integers(1, 3)).tolist()
        write_wav(place / f"{number}.wav", spoken(random, *(names[word] for word in words)), RATE)
        lines.append(f"{number}.wav,{' '.join(words)}")
    (place / "labels.csv").write_text("\n".join([*lines, "none.wav,low"]) + "\n")
    out = tmp_path / "texts.nabi"
    trained(["train", place, "--label-from", place / "labels.csv", *SMALL, "--epochs", 6, "--dropout", 0,
             "--noise", 0, "--out", out, "--log-dir", tmp_path / "logs"])  # fmt: skip
    check_logged(tmp_path / "logs", out.with_suffix(".json"))
    figures = json.loads(out.with_suffix(".json").read_text())
    assert "labels.csv, row 33: there is no file" in figures["skipped"][0]
    assert figures["report"]["error_rate"] > 0
    capsys.readouterr()
    outcome = nabi("recognise", out, place / "0.wav", "--beam", 4)
    assert outcome.status == 0
    assert set(outcome.out.split()) <= set(names)
    stream_of(monkeypatch, (place / "0.wav").read_bytes())
    streamed = nabi("recognise", out, "--stream")
    assert [line.split()[1] for line in streamed.out.splitlines()] == (
        nabi("recognise", out, place / "0.wav", "--beam", 1).out.split()
    )
    (tmp_path / "table.csv").write_text("\n".join(lines[:9]) + "\nnone.wav,low\n")
    measured = nabi("evaluate", out, tmp_path / "table.csv", "--folder", place, "--json")
    assert measured.status == 0
    assert "none.wav" in measured.err
    found = json.loads(measured.out)
    assert (found["held_out"], found["written_by"]) == (8, "nabi evaluate")
    assert found["error_rate"] > 0
    assert 0 <= found["exact"] <= 1


def test_what_is_wrong_is_said(model, folder, nabi, monkeypatch, tmp_path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    some = next(iter(folder.glob("*.wav")))
    for arguments, message in [
        (["recognise", model], "expected either sound files or --stream, got both or neither"),
        (["recognise", model, some, "--stream"], "expected either sound files or --stream"),
        (["recognise", model, some, "--raw", 8000], "--raw: it means nothing without --stream"),
        (
            ["recognise", model, some, "--beam", 3],
            "--beam: it means nothing for streams, and for models that",
        ),
        (["recognise", model, tmp_path / "empty.wav"], "empty.wav is empty"),
        (["recognise", tmp_path / "none.nabi", some], "there is no model file"),
        (["train", folder, "--label-from", "nmae"], "--label-from: expected 'name', 'folder' or a table"),
        (["train", folder, "--label-from", "folder"], "--label-from: expected recordings in subfolders"),
        (
            ["train", folder, "--label-from", "name", "--text", "x"],
            "--label-from: it means nothing for a table of texts",
        ),
        (["train", tmp_path / "none", "--label-from", "name"], "there is no file"),
    ]:
        outcome = nabi(*arguments)
        assert outcome.status == 2, arguments
        assert message in outcome.err
    for content, message in [
        (b"", "standard input is empty"),
        (b"words, no sound", "standard input is not a WAV file"),
        (some.read_bytes()[:44], "expected sound, got a stream of length 0"),
    ]:
        stream_of(monkeypatch, content)
        outcome = nabi("recognise", model, "--stream")
        assert outcome.status == 2
        assert message in outcome.err
