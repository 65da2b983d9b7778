from . import (
    cards as cards,
    checkpoints as checkpoints,
    conversion as conversion,
    data as data,
    evaluation as evaluation,
    inference as inference,
    models as models,
    pipelines as pipelines,
    processing as processing,
    publishing as publishing,
    training as training,
    types as types,
    video as video,
)
from .conversion import SOURCES as SOURCES, convert as convert
from .data import load_videos as load_videos
from .evaluation import evaluate as evaluate, extract_features as extract_features
from .models import ARCHITECTURES as ARCHITECTURES
from .models.inflation import inflate as inflate
from .models.optimization import optimize as optimize
from .pipelines import VideoClassificationPipeline as VideoClassificationPipeline
from .processing import ImageProcessor as ImageProcessor, VideoProcessor as VideoProcessor
from .processing.auto import AutoVideoProcessor as AutoVideoProcessor
from .publishing import publish as publish
from .training import TrainingSettings as TrainingSettings, train as train
from .types import Clip as Clip, Protocol as Protocol, VideoMetadata as VideoMetadata
from .video import ErrorPolicy as ErrorPolicy, VideoError as VideoError, VideoReader as VideoReader

__version__: str
