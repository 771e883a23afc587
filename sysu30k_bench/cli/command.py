"""Commands whose help shows options in groups, and examples; by click's own means, so that help stays light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

_ENVIRONMENT = click.core.ParameterSource.ENVIRONMENT
LAST_GROUP = "What comes out"
_OTHER = "Options"


class Option(click.Option):
    """An option that belongs to a group of the help.

    Args:
        names: As click's.
        group: The group's heading.
        settings: As click's.
    """

    def __init__(self, names: Sequence[str], group: str = "", **settings: Any) -> None:  # noqa: ANN401  click's own
        super().__init__(names, **settings)
        self.group = group


class Command(click.Command):
    """A command with examples, and options in groups.

    Args:
        parts: As click's.
        examples: Pairs of what an example is for (empty after the first of a group) and the words after the program.
        grouped: Whether its help has groups, in the order of their first options; a few options need none.
        settings: As click's.
    """

    def __init__(
        self,
        *parts: Any,  # noqa: ANN401  click's own
        examples: Sequence[tuple[str, str]] = (),
        grouped: bool = False,
        **settings: Any,  # noqa: ANN401  click's own
    ) -> None:
        super().__init__(*parts, **settings)
        self.examples = examples
        self.grouped = grouped

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words; names everything that is missing at once, where click names the first. See click."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter as error:
            missing = [param for param in self.get_params(ctx) if _is_missing(param, ctx, words)]
            if len(missing) < 2:
                raise
            names = (p.make_metavar(ctx) if isinstance(p, click.Argument) else p.opts[-1] for p in missing)
            raise click.UsageError(f"Missing: {', '.join(names)}.", ctx) from error
        except click.BadParameter as error:
            if error.param is not None and ctx.get_parameter_source(error.param.name or "") is _ENVIRONMENT:
                said = f"{error.message} (from the environment variable {_variable(error.param, ctx)})"
                raise click.BadParameter(said, ctx, error.param, error.param_hint) from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options, group by group; see click."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                title = param.group if self.grouped and isinstance(param, Option) and param.group else _OTHER
                groups.setdefault(title, []).append(record)
        ends = [title for title in (LAST_GROUP, _OTHER) if title in groups]
        for title in [*(title for title in groups if title not in ends), *ends]:
            with formatter.section(title):
                formatter.write_dl(groups[title])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples, each on a line of its own; see click."""
        if self.examples:
            with formatter.section("Examples"):
                for purpose, words in self.examples:
                    blank = " " * formatter.current_indent
                    formatter.write(f"{blank}# {purpose}\n" if purpose else "")
                    formatter.write(f"{blank}sysu30k-bench {words}\n")
        super().format_epilog(ctx, formatter)


def _variable(param: click.Parameter, ctx: click.Context) -> str:
    if isinstance(param.envvar, str):
        return param.envvar
    return f"{ctx.auto_envvar_prefix}_{(param.name or '').upper()}"


def _is_missing(param: click.Parameter, ctx: click.Context, words: list[str]) -> bool:
    given, rest, _ = ctx.command.make_parser(ctx).parse_args(list(words))
    try:
        param.handle_parse_result(ctx, given, rest)
    except click.MissingParameter:
        return True
    except click.UsageError:  # given, and wrong in another way
        return False
    return False
