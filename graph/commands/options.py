"""The settings as options of commands: made from the page of settings, so that they cannot say different things."""

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from graph.settings import Settings, option, settings_from

Command = Callable[..., None]


def takes_settings(*fields: str) -> Callable[[Command], Command]:
    """Add these settings to a command's own options; without any: all.

    The command is called with `settings`: the environment's, and what was given as options above them.
    """
    chosen = fields or tuple(Settings.model_fields)

    def decorate(command: Command) -> Command:
        def run(**given: Any) -> None:
            overrides = {field: given.pop(field) for field in chosen}
            command(**given, settings=settings_from(os.environ, overrides))

        own = [each for each in inspect.signature(command).parameters.values() if each.name != "settings"]
        parameters = [*own, *map(_parameter, chosen)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _parameter(field: str) -> inspect.Parameter:
    known = Settings.model_fields[field]
    is_switch = known.annotation is bool
    # Values stay text: what is wrong with one is said by the settings, whose words they have for the environment too.
    declared = typer.Option(
        f"{option(field)}/--no-{option(field)[2:]}" if is_switch else option(field),
        help=f"{known.description}{_default(known.default)}",
        metavar=None if is_switch else "VALUE",
        show_default=False,
        rich_help_panel="Settings",
    )
    kind = bool | None if is_switch else str | None
    annotation = Annotated[kind, declared]  # type: ignore[valid-type]  # it is made here
    return inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _default(value: object) -> str:
    return "" if value is None or value == () or isinstance(value, bool) else f"; else {value}"
