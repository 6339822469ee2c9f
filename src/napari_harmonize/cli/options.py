"""Options made from settings declarations, and what every command shares.

An option that was not given is ``None``, so that what was asked for can be told from what a model or a settings file says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Declaration, Settings, declarations, from_json, replace, to_json

COMMON = Group("Output")


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True)
class Terminal:
    """What every command takes."""

    quiet: Annotated[bool, Parameter(negative=(), help="Say nothing but results, warnings and errors.")] = False
    debug: Annotated[bool, Parameter(negative=(), help="Show where an error came from, and what the library logs.")] = False


def options(cls: type[Settings], title: str, only: Sequence[str] = (), about: str = "", short: Sequence[str] = ()) -> Any:
    """Make the class of a command's options out of a settings class.

    Parameters
    ----------
    cls : type
        The settings class; help, unit, limits and choices come from its declarations.
    title : str
        Heading of the options in the help.
    only : sequence of str
        Names to offer; all where empty. Tuples are never offered.
    about : str
        A sentence under the heading.
    short : sequence of str
        Names of nested settings that may also be given without the name of what they are nested in.

    Returns
    -------
    type
        A frozen dataclass with the same names, every one of them ``None`` by default.
    """
    group = Group(title, help=about)
    named = {name: declared for name, declared in declarations(cls).items() if not only or name in only}
    made = [_field(cls, declared, group, short) for declared in named.values() if declared.kind is not tuple]
    # cyclopts takes a class of a standard module for a plain value, so the class says where it is from
    return dataclasses.make_dataclass(f"{cls.__name__}Options", made, frozen=True, namespace={"__module__": __name__})


def given(chosen: Any) -> dict[str, Any]:
    """List the options that were given, nested ones as nested mappings."""
    found = {}
    for item in dataclasses.fields(chosen):
        value = getattr(chosen, item.name)
        value = given(value) if dataclasses.is_dataclass(value) else value
        if value is not None and value != {}:
            found[item.name] = value
    return found


def apply(settings: Settings, changes: Mapping[str, Any]) -> Any:
    """Lay the options that were given over settings."""
    merged = {name: replace(getattr(settings, name), **value) if isinstance(value, Mapping) else value for name, value in changes.items()}
    return replace(settings, **merged)


def _field(cls: type[Settings], declared: Declaration, group: Group, short: Sequence[str]) -> tuple[str, Any, Any]:
    if issubclass(declared.kind, Settings):
        nested = options(declared.kind, f"{group.name}: {declared.name}", short=short)
        return declared.name, Annotated[nested, Parameter(name=declared.name)], nested()
    choices = declared.allowed()
    kind: Any = Literal[choices] if choices else declared.kind
    names = (declared.name, f"--{declared.name}") if declared.name in short else None
    about = Parameter(name=names, help=describe(declared), group=group, validator=_checker(cls, declared.name))
    return declared.name, Annotated[kind | None, about], None


def describe(declared: Declaration) -> str:
    """Say in one line what a setting is, with its limits, unit and default."""
    low, high, unit = declared.low, declared.high, declared.unit
    parts = [f"{low:.10g} to {high:.10g}"] if low is not None and high is not None else []
    parts += [f"at least {low:.10g}"] if low is not None and high is None else []
    parts += [f"at most {high:.10g}"] if high is not None and low is None else []
    limits = f"{parts[0]} {unit}".strip() if parts else unit
    default = f"default {_text(declared.default)}" if declared.default not in ("", None, ()) else ""
    return f"{declared.help} [{'; '.join(part for part in (limits, default) if part)}]" if limits or default else declared.help


def _text(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value}"


def _checker(cls: type[Settings], name: str) -> Callable[[Any, Any], None]:
    def check(_: Any, value: Any) -> None:
        try:
            from_json(cls, {} if value is None else {name: value})
        except SettingsError as error:
            raise ValueError(str(error)) from error

    return check


def answers(cls: type[Settings], said: Sequence[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts as values of a settings class.

    Raises
    ------
    SettingsError
        A text has no "=", a name is unknown or a value is wrong.
    """
    known, found = declarations(cls), {}
    for text in said:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError("An answer is NAME=VALUE", f"{text!r} arrived")
        found[name] = _value(known[name], value) if name in known else value
    read = from_json(cls, found)
    return {name: value for name, value in to_json(read).items() if name in found}


def _value(declared: Declaration, text: str) -> Any:
    try:
        if declared.kind is bool:
            return {"yes": True, "true": True, "no": False, "false": False}[text.lower()]
        if declared.kind is tuple:
            part = type(declared.default[0]) if declared.default else str
            return [part(item) for item in text.split(",")]
        return declared.kind(text) if declared.kind in (int, float) else text
    except (KeyError, ValueError) as error:
        raise SettingsError(f"{declared.name} is of type {declared.kind.__name__}", f"{text!r} arrived") from error
