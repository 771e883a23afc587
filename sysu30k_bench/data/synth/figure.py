"""Drawing a person in a pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from sysu30k_bench.data.synth.person import Colour, Person

Draw = ImageDraw.ImageDraw
Place = Callable[[float, float], tuple[float, float]]
_HEAD, _SHOULDER, _HIP, _KNEE, _FOOT = 0.09, 0.18, 0.52, 0.74, 0.97


@dataclass(frozen=True)
class Pose:
    """How a person stands in the picture.

    Attributes:
        centre: Horizontal centre, as a share of the width.
        top: Top of the head, as a share of the height.
        scale: Height of the body, as a share of the picture's.
        stride: Swing of the legs, -1 to 1.
        swing: Swing of the arms, -1 to 1.
        from_behind: Whether the face is hidden.
    """

    centre: float
    top: float
    scale: float
    stride: float
    swing: float
    from_behind: bool


def draw_pose(rng: np.random.Generator, jitter: float) -> Pose:
    """Draws a pose.

    Args:
        rng: Source of chance.
        jitter: How far body and frame may move, 0 to 1.
    """
    return Pose(
        centre=0.5 + jitter * float(rng.uniform(-0.1, 0.1)),
        top=0.04 + jitter * float(rng.uniform(-0.02, 0.05)),
        scale=0.92 - jitter * float(rng.uniform(0.0, 0.12)),
        stride=float(rng.uniform(-1, 1)),
        swing=float(rng.uniform(-1, 1)),
        from_behind=bool(rng.random() < 0.3),
    )


def draw_figure(draw: Draw, person: Person, pose: Pose, width: int, height: int) -> None:
    """Draws a person into a picture of width x height pixels."""
    body = pose.scale * person.height * height
    unit = 0.23 * body * person.width

    def at(across: float, down: float) -> tuple[float, float]:
        return pose.centre * width + across * unit, pose.top * height + down * body

    if person.bag == "backpack":
        draw.rectangle([at(-0.62, _SHOULDER + 0.02), at(0.62, 0.42)], fill=person.bag_colour)
    _legs(draw, person, pose, at, unit)
    _arms(draw, person, pose, at, unit)
    _torso(draw, person, at)
    _head(draw, person, pose, at)
    if person.bag == "handbag":
        draw.rectangle([at(0.62, 0.5), at(1.0, 0.62)], fill=person.bag_colour)


def _legs(draw: Draw, person: Person, pose: Pose, point: Place, unit: float) -> None:
    for side in (-1, 1):
        knee = (side * (0.24 + 0.1 * abs(pose.stride)), _KNEE)
        foot = (side * 0.26 + 0.35 * side * pose.stride, _FOOT)
        thick = round(0.36 * unit)
        covered = person.legs == "trousers"
        line = [point(side * 0.22, _HIP), point(*knee)]
        draw.line(line, fill=person.skin if person.legs == "skirt" else person.bottom, width=thick)
        draw.line(
            [point(*knee), point(*foot)], fill=person.bottom if covered else person.skin, width=round(0.9 * thick)
        )
        x, y = point(*foot)
        draw.ellipse([x - 0.24 * unit, y - 0.09 * unit, x + 0.24 * unit, y + 0.13 * unit], fill=person.shoes)
    if person.legs == "skirt":
        corners = [
            point(-0.45, _HIP - 0.03),
            point(0.45, _HIP - 0.03),
            point(0.62, _KNEE - 0.02),
            point(-0.62, _KNEE - 0.02),
        ]
        draw.polygon(corners, fill=person.bottom)


def _arms(draw: Draw, person: Person, pose: Pose, point: Place, unit: float) -> None:
    for side in (-1, 1):
        shoulder, elbow = (side * 0.52, _SHOULDER + 0.02), (side * (0.68 + 0.1 * pose.swing * side), 0.36)
        hand = (side * (0.7 + 0.25 * pose.swing * side), 0.52)
        thick = round(0.24 * unit)
        draw.line([point(*shoulder), point(*elbow)], fill=person.top, width=thick)
        draw.line([point(*elbow), point(*hand)], fill=person.top if person.long_sleeves else person.skin, width=thick)


def _torso(draw: Draw, person: Person, point: Place) -> None:
    left, top = point(-0.52, _SHOULDER)
    right, bottom = point(0.52, _HIP + 0.01)
    draw.rounded_rectangle([left, top, right, bottom], radius=(right - left) * 0.15, fill=person.top)
    second: Colour = person.top_second
    if person.pattern == "stripes":
        for number in range(1, 6, 2):
            y = top + (bottom - top) * number / 6
            draw.rectangle([left, y, right, y + (bottom - top) / 8], fill=second)
    elif person.pattern == "block":
        draw.rectangle([left, (top + bottom) / 2, right, bottom], fill=second)
    elif person.pattern == "dots":
        radius = (right - left) / 12
        for row in range(3):
            for column in range(3):
                x, y = left + (right - left) * (column + 0.5) / 3, top + (bottom - top) * (row + 0.5) / 3
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=second)


def _head(draw: Draw, person: Person, pose: Pose, point: Place) -> None:
    left, top = point(-0.24, 0.02)
    right, bottom = point(0.24, _SHOULDER - 0.015)
    if person.long_hair:
        draw.ellipse([left - 2, top - 1, right + 2, bottom + (bottom - top) * 0.35], fill=person.hair)
    draw.ellipse([left, top, right, bottom], fill=person.hair if pose.from_behind else person.skin)
    draw.pieslice([left - 1, top - 1, right + 1, bottom], 180, 360, fill=person.hair)
    if person.hat is not None:
        draw.rectangle([left - 2, top - 2, right + 2, top + (bottom - top) * _HEAD * 4], fill=person.hat)
