"""Where the boxes of one step stand: in columns by how much must be computed before them, few crossings.

The method is Sugiyama's (1981): columns by longest path, values that pass a column become lanes in it, the
order within a column by repeated barycentres and then by moves that lessen the crossings, heights so that
most lines are straight. A circle takes its first value from the left and its second from above or below.
"""

from nabi.targets.picture._coordinates import set_heights, straighten
from nabi.targets.picture._graph import Box, Graph
from nabi.targets.picture._layering import Layout, find_lines, make_columns
from nabi.targets.picture._order import order_columns

__all__ = ["arrange"]


def arrange(graph: Graph, size: dict[Box, tuple[float, float]]) -> Layout:
    """Place the boxes of a step.

    Args:
        graph: the step.
        size: width and height of each box.
    """
    layout = make_columns(graph, size)
    fixed = {layout.at[box, 0] for box in (*graph.before, *graph.inputs)}
    fixed |= set(layout.columns[-1])
    lines = find_lines(layout, graph)
    order_columns(layout, fixed)
    # The states as far apart as makes the picture least high.
    heights = {
        scale: set_heights(layout, graph, fixed, lines, scale) for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    }
    best = min(heights, key=lambda scale: (round(heights[scale], 1), -scale))
    set_heights(layout, graph, fixed, lines, best)
    straighten(layout)
    return layout
