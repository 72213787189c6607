"""The picture of the unrolled network shows what the program says, without overlaps."""

import re
from itertools import combinations

import pytest

from nabi import cells
from nabi.errors import ArgumentError, OutputError
from nabi.ir import LATEX, Cell, named_nodes, symbol
from nabi.ir.functions import absolute, greater, mean, select, sigmoid, tanh, total
from nabi.targets import picture
from nabi.targets.picture._draw import Step
from nabi.targets.picture._graph import make_graph
from tests.cells.sampling import cells_of_today

pytestmark = pytest.mark.rotates(days=3)


class MinimalGatedUnit(Cell):
    def step(self, x, h):
        f = sigmoid(self.affine("f", x, h))
        candidate = tanh(self.affine("h", x, h=f * h))
        return (1 - f) * h + f * candidate


class Odd(Cell):
    """Two states with long names, reductions, numbers, a choice, operations in which order matters."""

    states = ("memory", "h2")

    def step(self, x, memory, h2):
        forget_gate = sigmoid(self.affine("forget", x, memory))
        alpha = total(memory + h2) / (1 + absolute(mean(h2 * h2) - 2 * memory))
        inner1 = select(greater(memory, 0), -memory, h2 * alpha)
        return memory * forget_gate + inner1, h2 - alpha


class HandsOn(Cell):
    """A state that is handed on as it came, one that is never read, and an output that is the other state."""

    states = ("h", "a", "b")

    def step(self, x, h, a, b):
        return b, a, tanh(self.linear("b", "x", x))


def make(name):
    more = {"projection": 3} if name == "projected-lstm" else cells.get(name).needed_settings(5, 3)
    return cells.get(name)(5, **more)


PROGRAMS = {
    **{name: make(name).program(3) for name in cells_of_today()},
    "zoneout-training": cells.ZoneoutLSTM(5, recurrent_dropout=0.2).program(3, training=True),
    "full-peepholes": cells.PeepholeLSTM(5, full=True).program(3),
    "user": MinimalGatedUnit(4).program(3),
    "odd": Odd(4).program(3),
    "hands-on": HandsOn(4).program(3),
    "clockwork": cells.ClockworkRNN(4).program(3),
    "skipping": cells.SkipRNN(cells.GRU(4)).program(3),
    "spiking": cells.ALIF(4).program(3),
    "delayed": cells.TauGRU(4, delay_steps=2).program(3),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_svg_names_what_the_program_names(name, tmp_path):
    program = PROGRAMS[name]
    text = picture.unrolled(program, 3, tmp_path / "cell.svg").read_text()
    # matplotlib writes the source of each text beside its outlines.
    written = re.findall(r"<!-- (.*?) -->", text)
    drawn = " ".join(written)
    for value, node in named_nodes(program).items():
        if node.arguments:
            assert f"${symbol(node, LATEX, value)}$" in written
    for parameter in program.parameters:
        leaf = next((n for n in program.nodes if n.name == parameter.name), None)
        if leaf is not None:
            assert symbol(leaf, LATEX) in drawn
    assert program.parameter_sum in drawn
    for t in (1, 2, 3):
        assert f"$x_{{{t}}}$" in written
    assert f"{type(program.cell).__name__} over 3 time steps" in written


@pytest.mark.parametrize("name", PROGRAMS)
def test_boxes_do_not_overlap_and_states_run_level(name):
    graph = make_graph(PROGRAMS[name])
    step = Step(graph)
    for number, column in enumerate(step.layout.columns[1:-1], 1):
        assert step.left[number] > step.right[number - 1]
        boxes = [element for element in column if element.box is not None]
        for upper, lower in combinations(boxes, 2):
            assert abs(upper.y - lower.y) >= (upper.height + lower.height) / 2 + 0.05
    for before, after in zip(graph.before, graph.after, strict=True):
        last = len(step.layout.columns) - 1
        assert step.layout.at[before, 0].y == pytest.approx(step.layout.at[after, last].y)


@pytest.mark.parametrize("name", PROGRAMS)
def test_lines_of_different_values_do_not_lie_on_each_other(name):
    step = Step(make_graph(PROGRAMS[name]))
    for wires, _ in step.wires:
        tracks = [wire.track for wire in wires if wire.track is not None]
        assert len(set(tracks)) == len(tracks)
        bent = sorted((wire for wire in wires if wire.track is not None), key=lambda wire: wire.track)
        for left, right in combinations(bent, 2):
            # What goes right from the left vertical meets no line that comes to the right one.
            assert all(abs(end - right.start) > 0.019 for end, _ in left.ends)


def test_the_boxes_of_an_lstm():
    graph = make_graph(PROGRAMS["lstm"])
    kinds = {box.name: box.kind for box in graph.boxes if box.name}
    assert kinds == {
        "i_{t}": "gate",
        "f_{t}": "gate",
        "g_{t}": "candidate",
        "o_{t}": "gate",
        "c_{t}": "map",
        "h_{t}": "map",
    }
    gate = next(box for box in graph.boxes if box.name == "f_{t}")
    assert gate.weights == ["W_{xf}", "W_{hf}", "b_{f}"]
    assert [read.name for read in gate.reads] == ["x_{t}", "h_{t-1}"]
    cell = next(box for box in graph.boxes if box.name == "c_{t}")
    assert cell.label == "+"
    assert sorted(read.label for read in cell.reads) == [r"\times", r"\times"]


def test_reductions_are_boxes_of_their_own():
    graph = make_graph(PROGRAMS["layer-norm-lstm"])
    norms = [box for box in graph.boxes if box.kind == "reduction"]
    assert len(norms) == 9
    assert {weight for box in norms for weight in box.weights} == {
        f"W_{{{k}{g}}}" for k in "xh" for g in "ifco"
    }


def test_the_same_bytes_every_time(tmp_path):
    for suffix in ("svg", "png"):
        one = picture.unrolled(PROGRAMS["gru"], 2, tmp_path / f"one.{suffix}").read_bytes()
        two = picture.unrolled(PROGRAMS["gru"], 2, tmp_path / f"two.{suffix}").read_bytes()
        assert one == two


def test_png_title_and_one_step(tmp_path):
    path = picture.unrolled(PROGRAMS["lstm"], 1, tmp_path / "new" / "one.PNG", title="A step")
    assert path.read_bytes().startswith(b"\x89PNG")
    text = picture.unrolled(PROGRAMS["lstm"], 1, tmp_path / "one.svg", title="A step").read_text()
    assert "<!-- A step -->" in text
    assert "<!-- $x_{1}$ -->" in text
    assert "<!-- $x_{2}$ -->" not in text


def test_of_many_steps_the_middle_is_left_out(tmp_path):
    text = picture.unrolled(PROGRAMS["simple-rnn"], 100, tmp_path / "many.svg").read_text()
    assert r"<!-- $\cdots$ -->" in text
    assert "<!-- $x_{100}$ -->" in text
    assert "<!-- $x_{50}$ -->" not in text


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, "3"])
def test_steps_must_be_positive(steps, tmp_path):
    expected = f"steps: expected a whole number of at least 1, got {steps!r}"
    with pytest.raises(ArgumentError, match=f"^{re.escape(expected)}$"):
        picture.unrolled(PROGRAMS["lstm"], steps, tmp_path / "a.svg")


@pytest.mark.parametrize("name", ["a.pdf", "a", "svg"])
def test_unknown_suffix(name, tmp_path):
    with pytest.raises(ArgumentError, match=r"ends in \.svg or \.png"):
        picture.unrolled(PROGRAMS["lstm"], 3, tmp_path / name)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="path: cannot write"):
        picture.unrolled(PROGRAMS["lstm"], 3, tmp_path / "file" / "a.svg")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(OutputError):
        picture.unrolled(PROGRAMS["simple-rnn"], 1, tmp_path / "a.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]
