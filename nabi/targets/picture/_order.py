"""The order of the boxes in each column: by barycentres, then by moves that reduce crossings."""

from bisect import bisect, bisect_left
from statistics import mean

from nabi.targets.picture._layering import Element, Layout

__all__ = ["order_columns"]


def order_columns(layout: Layout, fixed: set[Element]) -> None:
    """Order the columns, then reduce crossings by moving single elements."""
    places: dict[Element, float] = {}

    def renumber(column: list[Element]) -> None:
        for place, element in enumerate(column):
            places[element] = place / max(len(column) - 1, 1)

    for column in layout.columns:
        renumber(column)
    neighbours: dict[Element, tuple[list[Element], list[Element]]] = {
        element: ([], []) for column in layout.columns for element in column
    }
    for number in range(len(layout.columns) - 1):
        for start, end, _ in layout.edges(number):
            neighbours[end][0].append(start)
            neighbours[start][1].append(end)
    for sweep in range(8):
        forward = sweep % 2 == 0
        for column in layout.columns if forward else reversed(layout.columns):
            keys = {}
            for element in column:
                near = neighbours[element][0 if forward else 1] or [element]
                keys[element] = (element.rank, mean(places[other] for other in near))
            if not fixed & set(column):
                column.sort(key=keys.__getitem__)
            renumber(column)
    for _ in range(6):
        # `sum` instead of `any`, to improve every column.
        if not sum(
            _improve(layout, number)
            for number, column in enumerate(layout.columns)
            if not fixed & set(column)
        ):
            break


def _improve(layout: Layout, number: int) -> bool:
    column, better = layout.columns[number], False
    cost = _cost(layout, number)
    for element in list(column):
        best = column.index(element)
        column.remove(element)
        ranks = [other.rank for other in column]
        for place in range(bisect_left(ranks, element.rank), bisect(ranks, element.rank) + 1):
            column.insert(place, element)
            found = _cost(layout, number)
            if found < cost - 1e-9:
                best, cost, better = place, found, True
            del column[place]
        column.insert(best, element)
    return better


def _cost(layout: Layout, number: int) -> float:
    """Return the cost of a column: crossings, and elements between its circles and their corners."""
    place = {element: i for i, element in enumerate(layout.columns[number])}
    cost = 0.0
    for side in (number - 1, number):
        if not 0 <= side < len(layout.columns) - 1:
            continue
        left = {element: i for i, element in enumerate(layout.columns[side])}
        right = {element: i for i, element in enumerate(layout.columns[side + 1])}
        ends = sorted({(left[start], right[end]) for start, end, _ in layout.edges(side)})
        seen: list[int] = []
        for _, end in ends:
            cost += len(seen) - bisect(seen, end)
            seen.insert(bisect(seen, end), end)
        cost += 0.01 * sum(abs(start / len(left) - end / len(right)) for start, end in ends)
    for lane, circle in layout.corners:
        if lane in place:
            low, high = sorted((place[lane], place[circle]))
            between = layout.columns[number][low + 1 : high]
            cost += sum(1.0 if element.box is None else 20.0 for element in between) + 0.3 * (high - low)
    return cost
