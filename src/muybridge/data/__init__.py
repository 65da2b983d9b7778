"""Data sets: which clips there are and what is known of each, as records, and as items for a DataLoader.

- `records`: `VideoRecord`, one clip, and `VideoRecords`, all of them. `sources`: where their bytes are stored.
- `targets`: what is known of a clip, one class a kind, from a manifest's row to a batch.
- `loading`: `load_videos`, which reads any of the `formats`. `labels`: the label lists of well-known data sets.
- `requirements`: checks by what needs labels or other targets.
- `items`: `ClipDataset`, a data set of PyTorch that decodes. `streams`: the same for data that is not there in full.
- `check`: what is wrong with a data set. `shards`: many small files become few large ones, encoded again by `encoding`.
- `sprites`: clips made on the fly, with all that is true of them.

Names are imported when they are used: records and checks need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
