"""Bytes of files: read whole, gzip undone and done, hashed; and the error that names a file."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import warnings
import zlib
from typing import TYPE_CHECKING

from napari_harmonize.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"
COMPRESSED = (".gz", ".mgz")


def refusal(path: Path | str, rule: str, arrived: str, remedy: str) -> ReadError:
    """Make the error that names a file by its base name, never by its folder."""
    name = path if isinstance(path, str) else path.name or "this folder"
    return ReadError(rule, f"{name}: {arrived}", remedy)


def file_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises
    ------
    ReadError
        It cannot be opened, or is empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise refusal(path, "A volume's file must be readable", error.strerror or "it cannot be opened", "Check its permissions") from error
    if not raw:
        raise refusal(path, "A volume's file holds a header and voxels", "it is empty (0 bytes)", "Copy it again from its source")
    return raw


def unpacked(path: Path, raw: bytes) -> bytes:
    """Undo gzip where the bytes are compressed, whatever the suffix says.

    Raises
    ------
    ReadError
        The compressed stream ends early or is damaged.
    """
    if not raw.startswith(GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise refusal(
            path,
            "A compressed file must be complete",
            f"the gzip stream is cut short or damaged ({error})",
            "Copy it again from its source",
        ) from error


def store(path: Path, raw: bytes) -> None:
    """Write bytes, gzipped where the suffix says so; the same bytes give the same file (no time, no name inside)."""
    if path.suffix.lower() not in COMPRESSED:
        path.write_bytes(raw)
        return
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as stream:
        stream.write(raw)
    path.write_bytes(packed.getvalue())


def digest(*parts: bytes | memoryview) -> str:
    """SHA-256 of byte strings one after the other, as hexadecimal."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


@contextlib.contextmanager
def overheard() -> Iterator[list[str]]:
    """Collect the warnings of other libraries instead of letting them out; filled when the block ends."""
    sentences: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield sentences
        finally:
            sentences.extend(dict.fromkeys(str(item.message).splitlines()[0] for item in caught if str(item.message)))
