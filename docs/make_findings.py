"""Make ``docs/findings.md`` and its pictures out of what a benchmark measured: ``make findings``.

``python docs/make_findings.py FOLDER`` takes the output folder of ``napari-harmonize benchmark``; without a folder the page says
how to make it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from napari_harmonize.findings.page import page

DOCS = Path(__file__).parent


def main(measured: Path | None, docs: Path = DOCS) -> None:
    """Write the page, and the pictures of a measured folder in place of those before."""
    found = None if measured is None else json.loads((measured / "results.json").read_text(encoding="utf-8"))
    for old in (docs / "images").glob("findings-*.png"):
        old.unlink()
    for section in found["sections"].values() if found else ():
        for picture in section["pictures"]:
            shutil.copyfile(measured / "images" / picture["file"], docs / "images" / picture["file"])
    (docs / "findings.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
