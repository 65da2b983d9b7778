"""A folder of Parquet files with the videos inside; the library `datasets` is imported when one is read."""

from pathlib import Path

from muybridge.data.formats.catalogue import Catalogue, Request


def recognises(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.parquet"))


def read(request: Request) -> Catalogue:
    from muybridge.data.formats.datasets_library import read_parquet

    return read_parquet(request)
