"""Classes of few fields that never change."""

import pytest

from nabi._once import cached_property
from nabi._record import record


@record
class Tile:
    rows: int
    vectors: int = 1

    name = "tile"  # no annotation, no field

    @cached_property
    def size(self) -> int:
        return self.rows * self.vectors


class Wide(Tile):
    name = "wide"


def test_fields_are_given_by_position_or_name() -> None:
    for tile in (Tile(4, 2), Tile(4, vectors=2), Tile(vectors=2, rows=4), Wide(4, 2)):
        assert (tile.rows, tile.vectors, tile.size) == (4, 2, 8)
        assert vars(tile) == {"rows": 4, "vectors": 2, "size": 8}
    assert Tile(4).vectors == 1
    assert Tile(4) != Tile(4)
    assert Wide(4).name == "wide"


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"rows": 1}), ((1,), {"lanes": 1}), ((1, 2), {"vectors": 2})],
)
def test_what_does_not_fit_is_refused(given: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="expected rows, vectors, got"):
        Tile(*given, **named)


@pytest.mark.parametrize("kind", [Tile, Wide])
def test_it_does_not_change(kind: type[Tile]) -> None:
    tile = kind(4)
    for name in ("rows", "vectors", "size", "another"):
        with pytest.raises(AttributeError, match=f"{name}: a {kind.__name__} does not change"):
            setattr(tile, name, 2)
        with pytest.raises(AttributeError):
            delattr(tile, name)
    assert (tile.rows, tile.vectors) == (4, 1)
