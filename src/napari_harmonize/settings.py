"""How a setting is declared once, and read strictly.

A settings class is a frozen dataclass derived from :class:`Settings` whose fields are made by :func:`setting`.
The form, the command line, the JSON files, the table in the documentation and the range check all come from
that one declaration.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from napari_harmonize.errors import SettingsError

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]


@dataclass(frozen=True)
class Declaration:
    """What is known about one setting.

    Parameters
    ----------
    name : str
        Field name.
    kind : type
        ``bool``, ``int``, ``float``, ``str``, ``tuple`` or a :class:`Settings` class.
    optional : bool
        Whether ``None`` is allowed.
    default : object
        Value when nothing is said.
    help : str
        One sentence for the tooltip, ``--help`` and the documentation.
    unit : str
        Physical unit, empty for plain numbers.
    low, high : float, optional
        Inclusive limits.
    choices : tuple of str or callable, optional
        Allowed names.
    """

    name: str
    kind: type
    optional: bool
    default: Any
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: Choices | None = None

    def allowed(self) -> tuple[str, ...]:
        """Names this setting accepts; empty where any value of its kind will do."""
        if self.choices is None:
            return ()
        return self.choices() if callable(self.choices) else self.choices


def setting(
    default: Any,
    *,
    help: str,  # noqa: A002 - the word every reader looks for
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Choices | None = None,
) -> Any:
    """Declare a field of a :class:`Settings` class; the arguments are those of :class:`Declaration`."""
    meta = {"help": help, "unit": unit, "low": low, "high": high, "choices": choices}
    if isinstance(default, type) and issubclass(default, Settings):
        return field(default_factory=default, metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Settings:
    """Base of every settings class: limits are checked on construction.

    Raises
    ------
    SettingsError
        A value is of the wrong type, outside its limits or not among its choices.
    """

    def __post_init__(self) -> None:
        for declaration in declarations(type(self)).values():
            _check(type(self), declaration, getattr(self, declaration.name))


SomeSettings = TypeVar("SomeSettings", bound=Settings)


# read once: every value that is made is checked against it
_DECLARED: dict[type, Mapping[str, Declaration]] = {}


def declarations(cls: type[Settings]) -> Mapping[str, Declaration]:
    """List the settings of a class, in the order they were declared."""
    if cls not in _DECLARED:
        _DECLARED[cls] = types.MappingProxyType(_declare(cls))
    return _DECLARED[cls]


def _declare(cls: type[Settings]) -> dict[str, Declaration]:
    hints = typing.get_type_hints(cls)
    found = {}
    for item in fields(cls):
        kind, optional = _kind(hints[item.name])
        default = item.default_factory() if callable(item.default_factory) else item.default
        found[item.name] = Declaration(item.name, kind, optional, default, **item.metadata)
    return found


def to_json(settings: Settings) -> dict[str, Any]:
    """Write settings as plain JSON values; nested settings become nested objects."""
    return {item.name: _plain(getattr(settings, item.name)) for item in fields(settings)}


def from_json(cls: type[SomeSettings], values: Mapping[str, Any]) -> SomeSettings:
    """Read settings strictly; what is not named keeps its default.

    Parameters
    ----------
    cls : type
        The settings class.
    values : mapping
        As :func:`to_json` wrote it.

    Raises
    ------
    SettingsError
        An unknown name (the nearest known one is given), a wrong type or a value out of range.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{cls.__name__} is an object of named values", f"a {type(values).__name__} arrived")
    known = declarations(cls)
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise SettingsError(f"{cls.__name__} has no setting {name!r}", remedy=f"Did you mean {near[0]!r}?" if near else "")
    return cls(**{name: _parse(known[name], value) for name, value in values.items()})


def replace(settings: SomeSettings, **changes: Any) -> SomeSettings:
    """Copy settings with some values changed, checked like any other."""
    return from_json(type(settings), {**to_json(settings), **{name: _plain(value) for name, value in changes.items()}})


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return to_json(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _parse(declaration: Declaration, value: Any) -> Any:
    if issubclass(declaration.kind, Settings) and isinstance(value, Mapping):
        return from_json(declaration.kind, value)
    if declaration.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if declaration.kind is tuple and isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value


def _kind(hint: Any) -> tuple[type, bool]:
    """Bare class of an annotation, and whether ``None`` is allowed beside it."""
    members = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _kind(members[0])[0], len(members) < len(typing.get_args(hint))
    return typing.get_origin(hint) or hint, False


def _check(cls: type[Settings], declared: Declaration, value: Any) -> None:
    where = f"{cls.__name__}.{declared.name}"
    if value is None and declared.optional:
        return
    numeric = (int, float) if declared.kind is float else declared.kind
    if not isinstance(value, numeric) or (isinstance(value, bool) and declared.kind is not bool):
        raise SettingsError(f"{where} must be of type {declared.kind.__name__}", f"{value!r} arrived")
    if declared.choices is not None and value not in declared.allowed():
        raise SettingsError(f"{where} must be one of {', '.join(declared.allowed())}", f"{value!r} arrived")
    _check_limits(where, declared, value)


def _check_limits(where: str, declared: Declaration, value: Any) -> None:
    if declared.low is None and declared.high is None:
        return
    for number in value if isinstance(value, tuple) else (value,):
        # written so that NaN, which compares false with everything, is refused too
        if not ((declared.low is None or number >= declared.low) and (declared.high is None or number <= declared.high)):
            limits = f"{'' if declared.low is None else f'at least {declared.low:g}'}"
            limits += f"{' and ' if limits and declared.high is not None else ''}"
            limits += f"{'' if declared.high is None else f'at most {declared.high:g}'}"
            raise SettingsError(f"{where} must be {limits} {declared.unit}".rstrip(), f"{number!r} arrived")
