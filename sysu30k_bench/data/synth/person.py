"""A drawn person: what stays the same from one camera to the other."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[int, int, int]
Pattern = Literal["plain", "stripes", "block", "dots"]
Legs = Literal["trousers", "shorts", "skirt"]
Bag = Literal["none", "backpack", "handbag"]

_SKIN: tuple[Colour, ...] = ((246, 214, 186), (224, 178, 140), (190, 136, 98), (140, 92, 62), (92, 60, 42))
_HAIR: tuple[Colour, ...] = ((24, 20, 18), (70, 46, 30), (150, 104, 58), (206, 178, 120), (150, 150, 152))


@dataclass(frozen=True)
class Person:
    """Looks that identify someone.

    Attributes:
        skin: Colour of face and hands.
        hair: Colour of the hair.
        long_hair: Whether it reaches the shoulders.
        hat: Colour of a hat, if there is one.
        top: Colour of the upper garment.
        top_second: Second colour of its pattern.
        pattern: Its pattern.
        long_sleeves: Whether its sleeves reach the hands.
        legs: What is worn below.
        bottom: Its colour.
        shoes: Colour of the shoes.
        bag: What is carried.
        bag_colour: Its colour.
        width: Breadth of the body relative to the mean.
        height: Height relative to the mean.
    """

    skin: Colour
    hair: Colour
    long_hair: bool
    hat: Colour | None
    top: Colour
    top_second: Colour
    pattern: Pattern
    long_sleeves: bool
    legs: Legs
    bottom: Colour
    shoes: Colour
    bag: Bag
    bag_colour: Colour
    width: float
    height: float


def draw_looks(rng: np.random.Generator, wardrobe: int) -> Person:
    """Draws the looks of a person.

    Args:
        rng: Source of chance.
        wardrobe: How many different garment colours there are; fewer make people harder to tell apart.
    """
    return Person(
        skin=_SKIN[rng.integers(len(_SKIN))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        long_hair=bool(rng.random() < 0.4),
        hat=_cloth(rng, wardrobe) if rng.random() < 0.15 else None,
        top=_cloth(rng, wardrobe),
        top_second=_cloth(rng, wardrobe),
        pattern=("plain", "plain", "stripes", "block", "dots")[rng.integers(5)],
        long_sleeves=bool(rng.random() < 0.6),
        legs=("trousers", "trousers", "shorts", "skirt")[rng.integers(4)],
        bottom=_cloth(rng, wardrobe),
        shoes=_cloth(rng, wardrobe),
        bag=("none", "backpack", "handbag")[rng.integers(3)],
        bag_colour=_cloth(rng, wardrobe),
        width=float(rng.uniform(0.8, 1.25)),
        height=float(rng.uniform(0.9, 1.08)),
    )


def _cloth(rng: np.random.Generator, wardrobe: int) -> Colour:
    number = int(rng.integers(wardrobe))
    hue = (number * 0.618034) % 1.0
    saturation = (0.15, 0.55, 0.85)[number % 3]
    value = (0.2, 0.5, 0.75, 0.95)[number % 4]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return (round(red * 255), round(green * 255), round(blue * 255))
