"""Options follow from settings declarations, and answers are read as strictly as settings files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from napari_harmonize.cli.options import answers, apply, describe, given, options
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Settings, declarations, setting
from napari_harmonize.translation import TranslationSettings


@dataclass(frozen=True)
class Inner(Settings):
    depth: float = setting(2.0, help="How deep.", unit="mm", low=0, high=9)


@dataclass(frozen=True)
class Sizes(Settings):
    size: tuple[int, ...] = setting((1, 2), help="How large.", low=1)


@dataclass(frozen=True)
class Outer(Settings):
    count: int = setting(3, help="How many.", low=1)
    name: str = setting("", help="What it is called.")
    kind: str = setting("a", help="Which kind.", choices=("a", "b"))
    flag: bool = setting(False, help="Whether.")
    limits: tuple[float, ...] = setting((), help="Not to be offered.")
    inner: Inner = setting(Inner, help="Inside.")


def test_every_setting_but_tuples_becomes_an_option_that_is_not_given():
    made = options(Outer, "Heading")()
    assert {item.name for item in dataclasses.fields(made)} == {"count", "name", "kind", "flag", "inner"}
    assert given(made) == {}


def test_only_what_was_given_is_laid_over_the_settings():
    cls = options(Outer, "Heading")
    inner = type(cls().inner)
    chosen = given(cls(count=5, flag=False, inner=inner(depth=1.5)))
    assert chosen == {"count": 5, "flag": False, "inner": {"depth": 1.5}}
    assert apply(Outer(name="kept"), chosen) == Outer(count=5, name="kept", inner=Inner(1.5))


def test_an_option_can_be_left_out_by_name():
    assert [item.name for item in dataclasses.fields(options(Outer, "Heading", only=("kind",)))] == ["kind"]


def test_help_names_limits_unit_and_default():
    declared = declarations(Outer) | declarations(Inner)
    assert describe(declared["count"]) == "How many. [at least 1; default 3]"
    assert describe(declared["depth"]) == "How deep. [0 to 9 mm; default 2.0]"
    assert describe(declared["name"]) == "What it is called."
    assert describe(declared["flag"]) == "Whether. [default no]"


def test_every_translation_setting_is_an_option(call):
    shown = call("translate", "--help").out
    for name, declared in declarations(TranslationSettings).items():
        names = [f"{name}.{inner}" for inner in declarations(declared.kind)] if issubclass(declared.kind, Settings) else [name]
        for option in names:
            assert f"--{option}" in shown


def test_answers_are_read_by_their_kind():
    assert answers(Outer, ["count=7", "flag=yes", "name=a=b"]) == {"count": 7, "flag": True, "name": "a=b"}
    assert answers(Inner, ["depth=3"]) == {"depth": 3.0}
    assert answers(Sizes, ["size=8,16"]) == {"size": [8, 16]}
    with pytest.raises(SettingsError, match="tuple"):
        answers(Sizes, ["size=8,wide"])


@pytest.mark.parametrize(
    ("said", "expected"),
    [("count", "NAME=VALUE"), ("count=x", "int"), ("cuont=3", "'count'"), ("count=0", "at least 1"), ("flag=maybe", "bool")],
)
def test_wrong_answers_are_refused_with_a_sentence(said, expected):
    with pytest.raises(SettingsError, match=expected):
        answers(Outer, [said])
