"""HMDB51's official lists: `<label>_test_split<fold>.txt`, a clip and a mark a line (Kuehne et al., ICCV 2011)."""

from pathlib import Path

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, VideoFinder, read_lines, require_none_absent
from muybridge.data.records import VideoRecord

SPLIT_OF_MARK = {"0": None, "1": "train", "2": "test"}  # 0: the clip is in neither


def recognises(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*_test_split?.txt"))


def read(request: Request) -> Catalogue:
    ending = f"_test_split{request.fold}.txt"
    lists = sorted(request.path.glob(f"*{ending}"))
    if not lists:
        known = sorted({path.stem[-1] for path in request.path.glob("*_test_split?.txt")})
        raise DataError(f"fold is {request.fold}, and no list ends in {ending}; the folds are {', '.join(known)}")
    finder = VideoFinder(request)
    entries: list[Entry] = []
    absent: list[tuple[str, str]] = []
    for path in lists:
        label = path.name.removesuffix(ending)
        for origin, line in read_lines(path):
            name, split = read_mark(line, origin)
            clip = finder.find(Path(name).stem)
            if split is not None and clip is None:
                absent.append((origin, f"{label}/{name}"))
            elif split is not None and clip is not None:
                entries.append(Entry(VideoRecord(clip, label=label, split=split), origin))
    require_none_absent(absent)
    return Catalogue(entries, {"label": [path.name.removesuffix(ending) for path in lists]})


def read_mark(line: str, origin: str) -> tuple[str, str | None]:
    name, _, mark = line.rpartition(" ")
    if mark not in SPLIT_OF_MARK:
        raise DataError(f"{origin}: the mark is {mark!r}; it must be 0 (unused), 1 (train) or 2 (test)")
    return name.strip(), SPLIT_OF_MARK[mark]
