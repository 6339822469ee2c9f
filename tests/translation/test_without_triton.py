"""Beside a window drawn by Mesa, loading Triton ends the process; nothing here may load it."""

import os
import subprocess
import sys

USES = """
import sys
from napari_harmonize.events import finish
from napari_harmonize.session.warming import warm_up
from napari_harmonize.translation import load
from napari_harmonize.translation.cost import measure

finish(warm_up())
print(measure(load(sys.argv[1]), (32, 32)).flops > 0, "triton" in sys.modules)
"""


def test_what_a_window_loads_leaves_triton_alone(tmp_path):
    import tiny_model

    tiny_model.make(tmp_path / "tiny")
    deadly = tmp_path / "site" / "triton" / "__init__.py"
    deadly.parent.mkdir(parents=True)
    deadly.write_text("import os\nos._exit(139)\n")
    places = os.pathsep.join([str(deadly.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", USES, str(tmp_path / "tiny")],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["True", "False"], "")
