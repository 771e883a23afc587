"""Values of options that are more than a word: sizes, triples, settings, splits."""

from __future__ import annotations

import math
import tomllib

import click

from sysu30k_bench.plain_toml import parse_value


class NetworkOption(click.ParamType[tuple[str, str | int | float | bool]]):
    """A setting such as `last_stride=1`; the value is read as TOML would, or else as text."""

    name = "key=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | int | float | bool]:
        """See click."""
        key, sign, text = str(value).partition("=")
        if not sign or not key.isidentifier():
            self.fail(f"{value!r} is not KEY=VALUE, such as last_stride=1", param, ctx)
        try:
            parsed = parse_value(text)
        except tomllib.TOMLDecodeError:
            parsed = text
        except ValueError as error:
            self.fail(f"{key}: {error}", param, ctx)
        return key, parsed if isinstance(parsed, bool | int | float) else text


class Triple(click.ParamType[tuple[float, float, float]]):
    """Three numbers such as `0.485,0.456,0.406`, or one for all three channels."""

    name = "r,g,b"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """See click."""
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if len(numbers) not in {1, 3} or not all(math.isfinite(number) for number in numbers):
            self.fail(f"{value!r} is not three numbers, such as 0.485,0.456,0.406", param, ctx)
        first, second, third = numbers * (3 // len(numbers))
        return first, second, third


class Fraction(click.FloatRange):
    """A number of a range; no NaN, which is outside of every range and passes each comparison with its ends."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type]
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


ALL_SPLITS = "all"


class RankList(click.ParamType[tuple[int, ...]]):
    """Ranks such as `1,3,5`."""

    name = "k,k,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """See click."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isascii() and part.isdigit() and 0 < int(part) <= 10**9 for part in parts):
            self.fail(f"{value!r} is no list of ranks from 1, such as 1,3,5", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


class SplitChoice(click.ParamType[int | str]):
    """The number of a split, or `all`."""

    name = "n|all"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """See click."""
        text = str(value)
        if text == ALL_SPLITS:
            return text
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            self.fail(f"{value!r} is not a number from 1, or {ALL_SPLITS}", param, ctx)
        return int(text)


class Size(click.ParamType[int]):
    """A number of bytes such as `2GB` or `512MiB`."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        from pydantic import ByteSize, TypeAdapter, ValidationError

        try:
            size = int(TypeAdapter(ByteSize).validate_python(str(value).strip()))
        except (ValidationError, OverflowError):
            self.fail(f"{value!r} is not a size; write 2GB or 512MB", param, ctx)
        if size < 10**7:
            self.fail(f"{value!r} is too small; at least 10MB", param, ctx)
        return size
