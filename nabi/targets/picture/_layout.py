"""Layout of the boxes of one step, in columns by computation depth, with few crossings.

The method is Sugiyama's (1981): columns by longest path, lanes for values that pass through a column, the
order within a column by repeated barycentres and then by moves that reduce crossings, and heights that make
most lines straight. A circle takes its first value from the left and its second from above or below.
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
    # Choose the distance between the states that minimizes the height of the picture.
    heights = {
        scale: set_heights(layout, graph, fixed, lines, scale) for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    }
    best = min(heights, key=lambda scale: (round(heights[scale], 1), -scale))
    set_heights(layout, graph, fixed, lines, best)
    straighten(layout)
    return layout
