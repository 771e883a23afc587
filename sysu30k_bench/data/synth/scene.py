"""A picture of a person by a camera: background, occlusion, colour, blur, noise."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from sysu30k_bench.data.synth.figure import draw_figure, draw_pose
from sysu30k_bench.data.synth.person import Person

WIDTH, HEIGHT = 96, 192


@dataclass(frozen=True)
class Difficulty:
    """How hard the twin is.

    Attributes:
        wardrobe: Different garment colours.
        jitter: Movement of body and frame, 0 to 1.
        cast: Strength of each camera's colour cast, 0 to 1.
        light: Spread of brightness from picture to picture.
        occlusion: Probability that something stands before the person.
        noise: Standard deviation of the pixel noise.
        blur: Largest radius of the blur.
    """

    wardrobe: int
    jitter: float
    cast: float
    light: float
    occlusion: float
    noise: float
    blur: float


DIFFICULTIES = {
    "easy": Difficulty(wardrobe=40, jitter=0.4, cast=0.3, light=0.1, occlusion=0.05, noise=3.0, blur=0.5),
    "normal": Difficulty(wardrobe=24, jitter=1.0, cast=0.7, light=0.25, occlusion=0.25, noise=7.0, blur=1.0),
    "hard": Difficulty(wardrobe=14, jitter=1.4, cast=1.0, light=0.4, occlusion=0.45, noise=12.0, blur=1.6),
}


def picture(person: Person, camera: int, rng: np.random.Generator, difficulty: Difficulty, seed: int) -> bytes:
    """Draws a person as a camera sees them.

    Args:
        person: Who.
        camera: Number of the camera; its colours and its place depend on it and on the seed alone.
        rng: Source of chance for this picture.
        difficulty: How hard to make it.
        seed: Seed of the whole twin.

    Returns:
        A JPEG of 96 x 192 pixels.
    """
    place = np.random.default_rng([seed, 7, camera])
    image = _background(place, rng)
    draw = ImageDraw.Draw(image)
    draw_figure(draw, person, draw_pose(rng, difficulty.jitter), WIDTH, HEIGHT)
    if rng.random() < difficulty.occlusion:
        _occlude(draw, rng)
    radius = float(rng.uniform(0, difficulty.blur))
    if radius > 0.2:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    pixels = np.asarray(image, np.float32)
    pixels = pixels * _cast(place, difficulty.cast) * float(1 + rng.uniform(-1, 1) * difficulty.light)
    pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * difficulty.noise
    finished = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    finished.save(file, "JPEG", quality=int(rng.integers(70, 93)))
    return file.getvalue()


def _cast(place: np.random.Generator, strength: float) -> np.ndarray:
    return (1 + strength * place.uniform(-0.3, 0.3, 3)).astype(np.float32)


def _background(place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    wall, floor = _dull(place), _dull(place)
    horizon = round(HEIGHT * float(place.uniform(0.45, 0.75) + rng.uniform(-0.05, 0.05)))
    image = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(value) for value in wall))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, horizon, WIDTH, HEIGHT], fill=tuple(int(value) for value in floor))
    for _ in range(int(rng.integers(1, 5))):
        colour = tuple(int(value) for value in np.clip(wall + rng.integers(-60, 60) + rng.integers(-15, 15, 3), 0, 255))
        x, w = int(rng.integers(-10, WIDTH)), int(rng.integers(6, 30))
        draw.rectangle([x, int(rng.integers(0, horizon)), x + w, horizon], fill=colour)
    return image


def _dull(place: np.random.Generator) -> np.ndarray:
    return place.integers(80, 200) + place.integers(-18, 19, 3)


def _occlude(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    colour = tuple(int(value) for value in rng.integers(30, 220, 3))
    if rng.random() < 0.5:
        top = int(rng.uniform(0.55, 0.85) * HEIGHT)
        draw.rectangle([0, top, WIDTH, HEIGHT], fill=colour)
    else:
        x, w = int(rng.uniform(0.0, 0.8) * WIDTH), int(rng.uniform(0.12, 0.35) * WIDTH)
        draw.rectangle([x, 0, x + w, HEIGHT], fill=colour)
