"""What is written from the results."""

import time

import pytest

from benchmarks.layers import page
from benchmarks.layers.aims import aims, best_peer
from benchmarks.layers.isa import uncapped
from benchmarks.layers.points import Point
from benchmarks.layers.results import load_all, open_results, place, save
from benchmarks.layers.summary import described, targets, worst


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A page and a picture that are not those of the project."""
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "PICTURE", tmp_path / "pictures" / "performance.svg")
    page.PAGE.write_text(f"# Title\n\nBefore.\n\n{page.BEGIN}\nformer tables\n{page.END}\n\nAfter.\n")
    return page.PAGE


def found(results, what):
    return next(aim for aim in aims(results) if aim.what.startswith(what))


def test_tables_go_between_the_markers_and_the_chart_beside(results, written):
    page.write([results])
    text = written.read_text()
    assert text.startswith("# Title\n\nBefore.")
    assert text.endswith("After.\n")
    assert "former tables" not in text
    assert "| LSTM 64, 100, 128, 256 | 1 | **2** | 3 | 4 | 5 | 6 | 7 | 2.00 (1.80 to 2.20) |" in text
    assert "Geometric mean, relative to the fastest peer: 2.00 times." in text
    assert "| `gru-2014` 64, 100, 128, 256, training | 1.2 | 1.20 (`gru`) | 18 | 15.00" in text
    assert "| LSTM 64, 100, 128, 256, training | 40% | 10 | 45% | 44% | 20 | 30 |" in text
    assert (written.parent / "pictures" / "performance.svg").read_text().startswith("<?xml")
    page.write([results])
    assert written.read_text() == text


def test_the_fastest_peer_counts_at_every_point(results):
    point = results["points"]["gru/inference/1x100x128x128"]
    point["peers"]["jax"] |= {"peer": 0.8, "ratio": 0.8}
    aim = found(results, "faster than the fastest peer")
    assert aim.found == 0.8
    assert not aim.is_met
    assert found(results, "random points: faster").is_met
    random = next(iter(results["random"]["points"].values()))
    random["peers"]["torch"] |= {"peer": 0.9, "ratio": 0.9}
    assert found(results, "random points: faster").found == 0.9
    assert "nabi is the fastest at 41 of 42 points, 5 of 6 random points" in described([results])


def test_the_worst_points_come_first_fixed_and_random_ones(results):
    results["points"]["gru/inference/1x100x128x128"]["peers"]["jax"] |= {"peer": 0.8, "ratio": 0.8}
    name, random = next(iter(results["random"]["points"].items()))
    random["peers"]["torch"] |= {"peer": 0.9, "ratio": 0.9}
    head, _, *rows = worst(results).splitlines()
    assert "A processor, AVX512, 2 threads" in head
    assert len(rows) == 10
    assert rows[0].startswith("| GRU 1, 100, 128, 128, inference | 1 | JAX scan | 0.8 | 0.80 (")
    assert rows[1].startswith("| random: SimpleRNN ")
    assert name.rpartition("/")[2].replace("x", ", ") in rows[1]
    table = page.generated([results]).split("| inference, ms |")[1].splitlines()
    assert table[2].startswith("| GRU 1, 100, 128, 128 |")


def test_figures_are_the_worst_that_was_measured(results):
    assert found(results, "another cell's time").found == pytest.approx(1.2)
    assert found(results, "time of a batch").found == pytest.approx(45)
    assert found(results, "a training step of the song").found == pytest.approx(140)
    assert found(results, "peak memory").found == 0.5
    assert found(results, "share of the peak in training").is_met
    results["points"]["lstm/training/32x64x512x1024"]["peak"]["share"] = 0.6
    assert not found(results, "share of the peak in training").is_met
    results["first_call"][0]["warm"]["first"] = 0.021
    assert not found(results, "the same, from the cache").is_met


def test_a_width_that_fills_no_vector_is_compared_with_one_that_does(results):
    assert found(results, "share of the peak at 650").found == pytest.approx(100)
    results["points"][Point("gru", (32, 35, 650, 650), "training").name]["peak"]["share"] = 0.87 * 0.9
    aim = found(results, "share of the peak at 650")
    assert aim.found == pytest.approx(90)
    assert not aim.is_met


def test_a_busy_machine_has_aims_and_a_table_of_its_own(results):
    assert found(results, "on a busy machine, nabi's").is_met
    assert found(results, "on a busy machine, 99").found == 3
    entry = results["busy"]["points"]["lstm/training/32x50x8x32"]
    entry["peers"]["torch"] |= {"peer": 0.7, "ratio": 0.7}
    entry["tails"]["nabi"]["p99"] = 5.0
    assert found(results, "on a busy machine, nabi's").found == pytest.approx(1 / 0.7)
    assert not found(results, "on a busy machine, nabi's").is_met
    assert not found(results, "on a busy machine, 99").is_met
    assert "| LSTM 32, 50, 8, 32, training | 1 | 1 (5.0) | 1 (3.0) |" in page.generated([results])


def test_a_peer_without_a_cap_is_shown_and_not_counted(results, capped, written):
    for entries in (capped["points"], capped["random"]["points"]):
        for entry in entries.values():
            if "onnx" in entry["peers"]:
                entry["peers"]["onnx"] |= {"peer": 0.5, "ratio": 0.5}
    assert uncapped(results) == frozenset()
    assert uncapped(capped) == {"onnx", "jax-ynnpack"}
    assert found(capped, "faster than the fastest peer").found == 2
    page.write([results, capped])
    text = written.read_text()
    assert "A processor, capped at AVX2, 2 threads" in text
    assert "among those that can be capped (not ONNX Runtime, JAX scan with YNNPACK) at 42 of 42" in text
    assert "| times faster than the fastest | ONNX Runtime, not capped (times faster) | JAX scan with" in text
    assert "| 2.00 (1.80 to 2.20) | 0.5 (0.50) | 0.9 (0.90) |" in text
    assert "| torch.nn | `A_SWITCH` |  | 0 of 3 | yes |" in text


def test_a_cap_that_fails_at_one_point_takes_the_peer_out_everywhere(capped):
    last = list(capped["busy"]["points"].values())[-1]
    last["wide"] = ["jax"]
    capped["caps"]["torch"]["in_force"] = False
    assert uncapped(capped) == {"onnx", "jax-ynnpack", "jax", "torch"}
    assert best_peer(capped["points"]["lstm/training/32x50x8x32"], uncapped(capped)) == "torch-tuned"


def test_runs_stand_side_by_side_and_what_was_not_measured_is_said(results, capped):
    rows = targets([results, capped]).splitlines()
    assert rows[0].endswith("| A processor, AVX512, 2 threads | A processor, capped at AVX2, 2 threads |")
    assert "| a training step of the song inside fit | at most 40 µs | **140 µs** | not measured |" in rows


def test_nothing_is_written_from_a_part_of_the_benchmark(results, written):
    before = written.read_text()
    del results["points"]["gru/training/1x100x128x128"]
    del results["points"]["lstm/inference/32x50x8x32"]["peers"]["onnx"]
    del results["random"]["points"][next(iter(results["random"]["points"]))]
    with pytest.raises(SystemExit) as end:
        page.write([results])
    for gap in (
        "gru/training/1x100x128x128",
        "lstm/inference/32x50x8x32 of ONNX Runtime",
        "1 random points",
    ):
        assert gap in str(end.value)
    with pytest.raises(SystemExit, match="missing: a run"):
        page.write([])
    assert written.read_text() == before


def test_a_quick_run_is_not_for_the_documents(results):
    results["settings"]["quick"] = True
    assert page.missing(results) == ["A processor, AVX512, 2 threads: a run without --quick"]


def test_a_page_without_markers_is_left_alone(results, written):
    written.write_text("# Title\n")
    with pytest.raises(SystemExit, match="lacks the markers"):
        page.write([results])
    assert written.read_text() == "# Title\n"


def test_results_of_every_machine_are_kept_in_files_of_their_own(results, capped, tmp_path):
    other = {**capped, "settings": {**capped["settings"], "threads": 1}}
    paths = [place(tmp_path, each["settings"]) for each in (results, capped, other)]
    assert [path.name for path in paths] == [
        "a-processor-avx512-2-threads.json",
        "a-processor-avx512-as-avx2-2-threads.json",
        "a-processor-avx512-as-avx2-1-threads.json",
    ]
    for path, each in zip(reversed(paths), (other, capped, results), strict=True):
        save(path, each)
    kept = load_all(tmp_path)
    assert [each["settings"] for each in kept] == [each["settings"] for each in (results, capped, other)]
    assert kept[0]["points"].keys() == results["points"].keys()
    assert paths[0].stat().st_size < 1200 * (len(kept[0]["points"]) + len(kept[0]["busy"]["points"]))
    before = paths[0].read_text()
    save(paths[0], kept[0])
    assert paths[0].read_text() == before


def test_results_of_other_settings_are_not_replaced_unasked(results, tmp_path):
    path = tmp_path / "results.json"
    new = open_results(path, results["settings"])
    assert new == {"settings": results["settings"], "date": time.strftime("%Y-%m-%d"), "points": {}}
    save(path, results)
    assert open_results(path, results["settings"])["points"].keys() == results["points"].keys()
    with pytest.raises(SystemExit, match="rounds was 9, is 5"):
        open_results(path, {**results["settings"], "rounds": 5})
    assert open_results(path, {**results["settings"], "rounds": 5}, anew=True)["points"] == {}
