"""Shapes of regions: GeoJSON becomes paths on one sheet, anything else is refused in words."""

import json
from pathlib import Path

import pytest

from meterbook.domain.region_shapes import WIDTH, RegionShapesError, region_map
from meterbook.simulate.demo_homes import DEMO_REGIONS
from meterbook.simulate.homes import REGIONS

SQUARE = [[0, 60], [2, 60], [2, 61], [0, 61], [0, 60]]


def collection(*geometries: tuple[str, str, object]) -> bytes:
    features = [
        {"type": "Feature", "properties": {"name": n}, "geometry": {"type": t, "coordinates": c}}
        for n, t, c in geometries
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_a_degree_of_longitude_is_as_short_as_its_parallel() -> None:
    drawn = region_map(collection(("north", "Polygon", [SQUARE])))
    # At 60.5 degrees a degree east is about half of a degree north: the sheet is nearly square.
    assert (drawn.width, drawn.height) == (WIDTH, 650)
    (shape,) = drawn.shapes
    assert shape.path == "M6 643.7L634 643.7L634 6L6 6Z"
    assert (shape.label_x, shape.label_y) == (320, 324.8)


def test_islands_and_holes_are_parts_of_one_path() -> None:
    hole = [[0.5, 60.2], [1, 60.2], [1, 60.4], [0.5, 60.2]]
    island = [[3, 60], [4, 60], [4, 60.5], [3, 60]]
    drawn = region_map(collection(("north", "MultiPolygon", [[SQUARE, hole], [island]])))
    assert drawn.shapes[0].path.count("M") == 3


def test_the_demo_has_a_shape_for_each_of_its_regions() -> None:
    drawn = region_map(Path(DEMO_REGIONS).read_bytes())
    assert {shape.region for shape in drawn.shapes} == set(REGIONS)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'{"features": []}', id="no features"),
        pytest.param(collection(("a", "Point", [0, 1])), id="a point"),
        pytest.param(collection(("a", "Polygon", [[[0, 0], [1, 1], [0, 0]]])), id="two corners"),
        pytest.param(collection(("a", "Polygon", [[[0, "x"]] * 4])), id="words"),
        pytest.param(collection(("a", "Polygon", [[[1, 1]] * 5])), id="no extent"),
        pytest.param(SQUARE.__repr__().encode(), id="coordinates only"),
    ],
)
def test_what_is_no_map_is_refused(broken: bytes) -> None:
    with pytest.raises(RegionShapesError):
        region_map(broken)
