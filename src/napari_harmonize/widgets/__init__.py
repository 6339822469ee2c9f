"""Qt forms, views and docks; the only folder that knows Qt and napari.

Three kinds of widget: a form edits one settings value, a view shows state and says what is asked for, a dock wires both to the
session and is the only kind given the viewer. :data:`DOCKS` lists the docks; ``workspace.open_workspace`` arranges them.
"""

DOCKS: dict[str, str] = {
    "Pair": "napari_harmonize.widgets.pair_dock:PairDock",
    "Translate": "napari_harmonize.widgets.translate_dock:TranslateDock",
    "Style key": "napari_harmonize.widgets.style_dock:StyleDock",
    "Review and export": "napari_harmonize.widgets.review_dock:ReviewDock",
    "Training": "napari_harmonize.widgets.training_dock:TrainingDock",
    "Inspect": "napari_harmonize.widgets.inspect_dock:InspectDock",
}
