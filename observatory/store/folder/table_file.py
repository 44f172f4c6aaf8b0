"""One sealed Parquet file, written frame by frame: memory is bounded by a frame, not by the run."""

from contextlib import ExitStack
from pathlib import Path

import polars as pl

from observatory.store.files import replacing
from observatory.store.library_paths import library_path

ROWS_A_GROUP = 20_000
"""Rows of a row group: some 40 MB of attempts at 128 events each, and still few groups to skip."""


class TableFile:
    """Takes frames of one schema in order and becomes one file; equal frames give equal bytes."""

    def __init__(self, path: Path, schema: pl.Schema, spill: Path) -> None:
        """Open the file; `spill` is a folder for what has come so far; the caller makes and removes it."""
        self._path = path
        self._schema = schema
        self._spill = spill
        self._parts: list[Path] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Append a frame of the schema's columns."""
        if frame.is_empty():
            return
        part = self._spill / f"{self._path.stem}-{len(self._parts):06d}.arrow"
        with library_path(part, write=True) as file:
            frame.write_ipc(file, compression="lz4")
        self._parts.append(part)

    def finish(self) -> None:
        """Write the file (zstd-3) in place of an existing one, and wait for the disk."""
        with ExitStack() as stack:
            parts = [stack.enter_context(library_path(part)) for part in self._parts]
            frames = pl.scan_ipc(parts) if parts else pl.LazyFrame(schema=self._schema)
            part = stack.enter_context(replacing(self._path))
            frames.sink_parquet(
                stack.enter_context(library_path(part, write=True)),
                compression="zstd",
                compression_level=3,
                row_group_size=ROWS_A_GROUP,
                maintain_order=True,
                engine="streaming",
            )
