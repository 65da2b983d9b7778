"""Which clips: data sets in many formats, as records, and as items for a DataLoader.

- `records`: `VideoRecord`, one clip, and `VideoRecords`, all of them with their labels.
- `loading`: `load_videos`, which reads any of the `formats`.
- `clips`: data sets of PyTorch that decode: `TrainingClips` and `EvaluationClips`. `streams`: the same for data that is
  not there in full.
- `check`: what is wrong with a data set. `shards`: many small files become few large ones, encoded anew by `encoding`.
- `sprites`: clips made on the fly, in which the motion alone tells the class.
"""

from muybridge.data.errors import DataError
from muybridge.data.requirements import check_labels, require_targets
from muybridge.data.loading import load_videos
from muybridge.data.records import VideoRecord, VideoRecords
from muybridge.data.targets import NO_LABEL

__all__ = ["NO_LABEL", "DataError", "VideoRecord", "VideoRecords", "check_labels", "load_videos", "require_targets"]
