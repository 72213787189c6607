"""What is written from the results."""

import pytest

from benchmarks.layers import page
from benchmarks.layers.aims import aims


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A page and a picture that are not those of the project."""
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "PICTURE", tmp_path / "pictures" / "performance.svg")
    page.PAGE.write_text(f"# Title\n\nBefore.\n\n{page.BEGIN}\nold\n{page.END}\n\nAfter.\n")
    return page.PAGE


def found(results, what):
    return next(aim for aim in aims(results) if aim.what.startswith(what))


def test_tables_go_between_the_markers_and_the_chart_beside(results, written):
    page.write(results)
    text = written.read_text()
    assert text.startswith("# Title\n\nBefore.")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert "| LSTM 64, 100, 128, 256 | 1 | **2** | 3 | 4 | 5 | 6 | 7 | 2.00 (1.80 to 2.20) |" in text
    assert "Geometric mean over all points, relative to the fastest peer: 2.00 times." in text
    assert "| `gru-2014` 64, 100, 128, 256, training | 1.2 | 1.20 (`gru`) | 18 | 15.00" in text
    assert "| LSTM 64, 100, 128, 256, training | 40% | 10 | 45% | 44% | 20 | 30 |" in text
    assert (written.parent / "pictures" / "performance.svg").read_text().startswith("<?xml")
    page.write(results)
    assert written.read_text() == text


def test_the_fastest_peer_counts_at_every_point(results):
    point = results["points"]["gru/inference/1x100x128x128"]
    point["peers"]["jax"] |= {"peer": 0.8, "ratio": 0.8}
    aim = found(results, "faster than the fastest")
    assert aim.found == 0.8
    assert not aim.is_met
    assert found(results, "the same, geometric mean of training").is_met


def test_figures_are_the_worst_that_was_measured(results):
    assert found(results, "a variant's time").found == pytest.approx(1.2)
    assert found(results, "time of a batch").found == pytest.approx(45)
    assert found(results, "a training step of the song").found == pytest.approx(140)
    assert found(results, "peak memory").found == 0.5
    assert found(results, "share of the peak in training").is_met
    results["points"]["lstm/training/32x64x512x1024"]["peak"]["share"] = 0.6
    assert not found(results, "share of the peak in training").is_met
    results["first_call"][0]["warm"]["first"] = 0.021
    assert not found(results, "the same, from the cache").is_met


def test_nothing_is_written_from_a_part_of_the_benchmark(results, written):
    before = written.read_text()
    del results["points"]["gru/training/1x100x128x128"]
    del results["points"]["lstm/inference/32x50x8x32"]["peers"]["onnx"]
    results["song"] = {}
    with pytest.raises(SystemExit) as end:
        page.write(results)
    for gap in ("gru/training/1x100x128x128", "lstm/inference/32x50x8x32 of ONNX Runtime", "the part song"):
        assert gap in str(end.value)
    assert written.read_text() == before


def test_a_quick_run_is_not_for_the_documents(results):
    results["settings"]["quick"] = True
    assert page.missing(results) == ["a run without --quick"]


def test_a_page_without_markers_is_left_alone(results, written):
    written.write_text("# Title\n")
    with pytest.raises(SystemExit, match="lacks the markers"):
        page.write(results)
    assert written.read_text() == "# Title\n"
