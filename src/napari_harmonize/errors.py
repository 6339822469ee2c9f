"""Every error this package raises on purpose.

::

    HarmonizeError
    ├── SettingsError        a setting is unknown, of the wrong type or out of range
    ├── VolumeError          a volume cannot be used as it is
    │   ├── ReadError        a file or folder cannot be read as a volume
    │   ├── WriteError       a volume cannot be written as asked
    │   ├── GeometryError    two volumes do not share the space they must share
    │   └── Undefined        a number has no value for these volumes
    ├── StyleError           a style key cannot be computed, read or edited as asked
    ├── ModelError           a model package or checkpoint cannot be used
    ├── PreflightError       the case must not be translated as it stands
    ├── EngineError          the computation itself failed
    │   └── OutOfMemory      even the smallest batch does not fit
    ├── TrainingError        a network cannot be trained as asked
    │   └── TableError       a table of pairs cannot be used
    ├── StoppedError         the user stopped the job
    └── SessionError         the session may not do this now
        └── ExportError      the export gate is closed

Each carries three sentences: the rule, what arrived, what to do.
"""


class HarmonizeError(Exception):
    """The root of the tree.

    Parameters
    ----------
    rule : str
        What must hold.
    arrived : str
        What was found instead, with names and numbers.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, rule: str, arrived: str = "", remedy: str = "") -> None:
        self.rule, self.arrived, self.remedy = rule, arrived, remedy
        super().__init__(rule, arrived, remedy)

    def __str__(self) -> str:
        parts = (part.strip().rstrip(".") for part in (self.rule, self.arrived, self.remedy))
        text = ". ".join(part for part in parts if part)
        return text if text.endswith("?") else f"{text}."


class SettingsError(HarmonizeError):
    """A setting is unknown, of the wrong type or out of range."""


class VolumeError(HarmonizeError):
    """A volume cannot be used as it is."""


class ReadError(VolumeError):
    """A file or folder cannot be read as a volume."""


class WriteError(VolumeError):
    """A volume cannot be written as asked."""


class GeometryError(VolumeError):
    """Two volumes do not share the space they must share."""


class Undefined(VolumeError):
    """A number has no value for these volumes; the sentence says why."""


class StyleError(HarmonizeError):
    """A style key cannot be computed, read or edited as asked."""


class ModelError(HarmonizeError):
    """A model package or checkpoint cannot be used."""


class PreflightError(HarmonizeError):
    """The case must not be translated as it stands."""


class EngineError(HarmonizeError):
    """The computation itself failed."""


class OutOfMemory(EngineError):
    """Even the smallest batch does not fit into memory."""


class TrainingError(HarmonizeError):
    """A network cannot be trained as asked."""


class TableError(TrainingError):
    """A table of pairs cannot be used."""


class StoppedError(HarmonizeError):
    """The user stopped the job."""


class SessionError(HarmonizeError):
    """The session may not do this now."""


class ExportError(SessionError):
    """The export gate is closed."""
