"""The formats in which data sets come: one file each, and one dict of all."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request


@dataclass(frozen=True)
class Format:
    """How to read a format: a module of this package, which is imported when it is used, and its function."""

    title: str
    module: str
    function: str = "read"
    is_recognised: bool = True

    def recognises(self, path: Path) -> bool:
        return self.is_recognised and self._get("recognises")(path)

    def read(self, request: Request) -> Catalogue:
        return self._get(self.function)(request)

    def _get(self, name: str) -> Callable:
        return getattr(importlib.import_module(f"muybridge.data.formats.{self.module}"), name)


#: In the order in which a path is tried for them: the most particular first.
FORMATS = {
    "shards": Format("tar shards, as `muybridge pack` and WebDataset write them", "shards"),
    "ucf101": Format("the official lists of UCF101", "ucf101"),
    "hmdb51": Format("the official lists of HMDB51", "hmdb51"),
    "kinetics": Format("tables of Kinetics", "kinetics"),
    "something-something": Format("labels.json and the lists of Something-Something", "something_something"),
    "manifest": Format("a .csv, .tsv or .jsonl file with the columns path and label", "manifest"),
    "parquet": Format("Parquet files with the videos inside", "parquet"),
    "folder": Format("a folder of class folders", "folder"),
    "hub": Format("a data set on the Hub, hub:OWNER/NAME", "datasets_library", "read_hub", is_recognised=False),
    "videofolder": Format("a folder, read by `datasets`", "datasets_library", "read_videofolder", is_recognised=False),
    "webdataset": Format("tar files, read by `datasets`", "datasets_library", "read_webdataset", is_recognised=False),
}


def recognise(source: str) -> tuple[Format, str]:
    """The format of a data set, and its place: both as `FORMAT:PLACE` says, or by what lies at the path."""
    name, colon, place = source.partition(":")
    if colon and name in FORMATS:
        return FORMATS[name], place
    path = Path(source)
    if not path.exists():
        known = ", ".join(FORMATS)
        raise DataError(
            f"there is no file or folder {source}; a data set on the Hub is written hub:{source}, and a format is "
            f"chosen by its name and a colon: {known}"
        )
    for form in FORMATS.values():
        if form.recognises(path):
            return form, source
    titles = "\n".join(f"  {name}: {form.title}" for name, form in FORMATS.items())
    raise DataError(f"{source} is in no known format; the known ones are\n{titles}")


__all__ = ["FORMATS", "Catalogue", "Entry", "Format", "Request", "recognise"]
