# The public names; __init__.py imports each when it is used.
from .check import DataReport as DataReport, Finding as Finding, check_videos as check_videos
from .encoding import Encoding as Encoding
from .errors import DataError as DataError
from .formats import FORMATS as FORMATS
from .items import ClipDataset as ClipDataset, collate_items as collate_items
from .labels import read_labels as read_labels
from .loading import load_videos as load_videos, name_data as name_data
from .records import VideoRecord as VideoRecord, VideoRecords as VideoRecords
from .requirements import check_labels as check_labels, require_targets as require_targets
from .shards import PackReport as PackReport, pack_videos as pack_videos
from .splits import SplitData as SplitData
from .sprites import (
    SpriteClip as SpriteClip,
    SpriteDataset as SpriteDataset,
    SpriteSettings as SpriteSettings,
    SpriteStream as SpriteStream,
    sprite as sprite,
    write_sprites as write_sprites,
)
from .streams import StreamDataset as StreamDataset, VideoStream as VideoStream, stream_videos as stream_videos
from .targets import (
    NO_LABEL as NO_LABEL,
    TARGETS as TARGETS,
    Target as Target,
    collate_targets as collate_targets,
    register_target as register_target,
)
