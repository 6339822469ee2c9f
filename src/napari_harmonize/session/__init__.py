"""What the application knows and may do, with events and without Qt.

Nothing heavy is imported here: the backend below is loaded when first needed.
"""

from napari_harmonize.session.backend import Backend
from napari_harmonize.session.display import WINDOWS, Convention, Display, Window, presets
from napari_harmonize.session.importing import Recognised
from napari_harmonize.session.jobs import Desk, InlineRunner, Request
from napari_harmonize.session.measure import Measured, evaluate_job
from napari_harmonize.session.pair import Pair, Role
from napari_harmonize.session.project import Project
from napari_harmonize.session.resolve import Action, Permission, Snapshot, State, resolve
from napari_harmonize.session.review import KEYS, TAGS, Decision, Draft, Item, Tag, Verdict
from napari_harmonize.session.runs import Run, RunState
from napari_harmonize.session.session import Session
from napari_harmonize.session.settings_file import SettingsFile
from napari_harmonize.session.style import Look, Rendered
from napari_harmonize.session.training_facts import Phase, Progressed, Table, TrainingFacts, Trial

__all__ = [
    "KEYS",
    "TAGS",
    "WINDOWS",
    "Action",
    "Backend",
    "Convention",
    "Decision",
    "Desk",
    "Display",
    "Draft",
    "InlineRunner",
    "Item",
    "Look",
    "Measured",
    "Pair",
    "Permission",
    "Phase",
    "Progressed",
    "Project",
    "Recognised",
    "Rendered",
    "Request",
    "Role",
    "Run",
    "RunState",
    "Session",
    "SettingsFile",
    "Snapshot",
    "State",
    "Table",
    "Tag",
    "TrainingFacts",
    "Trial",
    "Verdict",
    "Window",
    "evaluate_job",
    "presets",
    "resolve",
]
