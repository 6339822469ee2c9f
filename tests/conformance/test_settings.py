"""What every settings class must keep: help, limits, JSON round trip. Classes are found through the tables."""

from __future__ import annotations

import json

import pytest

from napari_harmonize.diffusion import PATHS
from napari_harmonize.errors import SettingsError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.prepare import STEPS
from napari_harmonize.settings import Settings, declarations, from_json, to_json
from napari_harmonize.simulate.settings import AcquisitionSettings, SimulationSettings, SubjectSettings
from napari_harmonize.style import Edit
from napari_harmonize.translation import IMPORTERS, Card, Correction, Defaults, Target, TranslationSettings

CLASSES = {
    cls.__module__.removeprefix("napari_harmonize.") + "." + cls.__name__: cls
    for cls in (
        TranslationSettings,
        Correction,
        Defaults,
        Target,
        Card,
        Edit,
        SubjectSettings,
        AcquisitionSettings,
        SimulationSettings,
        *(step.Settings for step in STEPS.values()),
        *(row.settings for row in PATHS.values()),
        *(row.settings for row in NETWORKS.values()),
        *(row.questions() for row in IMPORTERS.values()),
    )
}


@pytest.fixture(params=CLASSES)
def cls(request) -> type[Settings]:
    return CLASSES[request.param]


def test_every_setting_has_help_that_is_a_sentence(cls):
    for declaration in declarations(cls).values():
        assert declaration.help.strip().endswith((".", '"')), declaration.name
        assert len(declaration.help) > 10, declaration.name


def test_defaults_go_through_json_and_back(cls):
    assert from_json(cls, json.loads(json.dumps(to_json(cls())))) == cls()


def test_limits_are_enforced_on_both_sides(cls):
    for declaration in declarations(cls).values():
        for limit, beyond in ((declaration.low, -1), (declaration.high, 1)):
            if limit is not None and declaration.kind in (int, float):
                with pytest.raises(SettingsError, match=declaration.name):
                    cls(**{declaration.name: declaration.kind(limit + beyond)})


def test_choices_are_enforced_and_hold_the_default(cls):
    for declaration in declarations(cls).values():
        if declaration.allowed():
            assert declaration.default in declaration.allowed()
            with pytest.raises(SettingsError, match="must be one of"):
                cls(**{declaration.name: "no such thing"})


def test_an_unknown_name_is_refused_with_the_nearest_known_one(cls):
    name = next(iter(declarations(cls)), "")
    with pytest.raises(SettingsError, match=f"Did you mean '{name}'" if name else "no setting 'x'"):
        from_json(cls, {name + "x": 1})
