"""Loading what the first case needs, on another thread and without holding up the window.

An import that opens a large library keeps the interpreter until the library is mapped, half a second and more for PyTorch. The system is
therefore asked to open PyTorch's libraries first, by a call that lets the interpreter go; the import then finds them there.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_harmonize.events import Stage

if TYPE_CHECKING:
    from napari_harmonize.events import Job

# what opening a file, a layer of napari (pandas), the estimate of the cost, a translation and its numbers load, in the order of need
WANTED = ("nibabel", "torch", "pandas", "napari_harmonize.translation.job", "skimage.metrics")
LIBRARIES = ("torch_global_deps", "torch_cpu", "torch_python")


def warm_up() -> Job[None]:
    """Import everything in :data:`WANTED`."""
    yield Stage("Loading engine")
    open_libraries()
    for name in WANTED:
        yield Stage("Loading engine", name.rpartition(".")[2])
        importlib.import_module(name)
    from napari_harmonize.translation.without_triton import flop_counter

    flop_counter()


def open_libraries() -> tuple[str, ...]:
    """Have PyTorch's libraries opened by the system.

    Returns
    -------
    tuple of str
        Those it opened; none on Windows, where a library's own folder must be known first. What cannot be opened is left to the
        import, which says what is wrong.
    """
    folder = _folder()
    if sys.platform == "win32" or folder is None:
        return ()
    call = ctypes.CDLL(None).dlopen
    call.argtypes, call.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    ending = "dylib" if sys.platform == "darwin" else "so"
    found = []
    for name in LIBRARIES:
        everywhere = os.RTLD_GLOBAL if name == LIBRARIES[0] else os.RTLD_LOCAL  # as torch itself does
        if call(os.fsencode(folder / f"lib{name}.{ending}"), os.RTLD_NOW | everywhere):
            found.append(name)
    return tuple(found)


def _folder() -> Path | None:
    spec = importlib.util.find_spec("torch")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "lib"
