"""The labels of known data sets, in the order in which networks are trained on them: facts, kept as data."""

from pathlib import Path

from muybridge.data.errors import DataError

FOLDER = Path(__file__).parent
DATASETS = sorted(path.stem for path in FOLDER.glob("*.txt"))


def read_labels(name: str | Path) -> list[str]:
    """The labels of a known data set, or of a text file with one a line."""
    path = FOLDER / f"{name}.txt" if str(name) in DATASETS else Path(name)
    if not path.is_file():
        raise DataError(
            f"labels: {name!s} is neither a file nor a known data set; the known ones are {', '.join(DATASETS)}"
        )
    labels = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    labels = [label for label in labels if label]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if not labels or repeated:
        raise DataError(f"labels: {path} " + (f"repeats {', '.join(repeated)}" if repeated else "is empty"))
    return labels
