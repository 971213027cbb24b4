"""
Shapes of regions: polygons of a GeoJSON file, as paths to draw without tiles or a map server.

Drawn with the middle of all shapes as its standard parallel, which is true enough for a country.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

WIDTH = 640
_MARGIN = 6
_RING_POINTS_MIN = 4  # the last is the first again
_Ring = list[tuple[float, float]]


class RegionShapesError(ValueError):
    """A file that is not GeoJSON with a named polygon for each region."""


class RegionShape(msgspec.Struct, frozen=True):
    """One region, drawn."""

    region: str
    path: str
    """What an SVG path's `d` says."""
    label_x: float
    label_y: float


class RegionMap(msgspec.Struct, frozen=True):
    """All regions on one sheet of WIDTH."""

    width: int
    height: int
    shapes: list[RegionShape]


def region_map(geojson: bytes) -> RegionMap:
    """
    Return the map that a GeoJSON FeatureCollection of Polygons and MultiPolygons describes.

    :param geojson: each feature has the region's name as its property `name` (RFC 7946).
    :raises RegionShapesError: if it is anything else.
    """
    try:
        document = msgspec.json.decode(geojson)
        regions = [_named_rings(feature) for feature in document["features"]]
        points = [point for _, rings in regions for ring in rings for point in ring]
        west, east = min(p[0] for p in points), max(p[0] for p in points)
        south, north = min(p[1] for p in points), max(p[1] for p in points)
    except (msgspec.MsgspecError, KeyError, TypeError, IndexError, ValueError) as error:
        raise RegionShapesError(f"not GeoJSON with named polygons: {error}") from None
    shrink = math.cos(math.radians((south + north) / 2))
    if not (east > west and north > south and shrink > 0):
        raise RegionShapesError("the polygons have no extent")
    scale = (WIDTH - 2 * _MARGIN) / ((east - west) * shrink)
    height = round((north - south) * scale) + 2 * _MARGIN

    def placed(point: tuple[float, float]) -> tuple[float, float]:
        x = _MARGIN + (point[0] - west) * shrink * scale
        return round(x, 1), round(_MARGIN + (north - point[1]) * scale, 1)

    return RegionMap(
        WIDTH,
        height,
        [
            _shape(name, [[placed(point) for point in ring] for ring in rings])
            for name, rings in regions
        ],
    )


def _named_rings(feature: Any) -> tuple[str, list[_Ring]]:
    geometry = feature["geometry"]
    match geometry["type"]:
        case "Polygon":
            polygons = [geometry["coordinates"]]
        case "MultiPolygon":
            polygons = geometry["coordinates"]
        case other:
            raise ValueError(f"{other} is no polygon")
    rings = [_ring(ring) for polygon in polygons for ring in polygon]
    return str(feature["properties"]["name"]), rings


def _ring(ring: Any) -> _Ring:
    points = [(float(point[0]), float(point[1])) for point in ring]
    if len(points) < _RING_POINTS_MIN or not all(
        math.isfinite(part) for point in points for part in point
    ):
        raise ValueError("a ring has at least four points")
    return points


def _shape(name: str, rings: list[_Ring]) -> RegionShape:
    path = "".join(_drawn(ring) for ring in rings)
    x, y = _middle(max(rings, key=lambda ring: abs(_area(ring))))
    return RegionShape(name, path, x, y)


def _drawn(ring: _Ring) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in ring[:-1]) + "Z"


def _corners(ring: _Ring) -> Iterator[tuple[float, float, float]]:
    for (x, y), (next_x, next_y) in pairwise(ring):
        yield x * next_y - next_x * y, x + next_x, y + next_y


def _area(ring: _Ring) -> float:
    return sum(cross for cross, _, _ in _corners(ring)) / 2


def _middle(ring: _Ring) -> tuple[float, float]:
    area = _area(ring)
    if not area:
        return ring[0]
    x = sum(cross * across for cross, across, _ in _corners(ring)) / (6 * area)
    y = sum(cross * down for cross, _, down in _corners(ring)) / (6 * area)
    return round(x, 1), round(y, 1)
