"""Whether windows can be shown."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Ask when tests have been collected: a screen that is made for them is not there before."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
