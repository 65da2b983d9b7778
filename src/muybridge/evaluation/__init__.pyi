from .evaluators import (
    EVALUATORS as EVALUATORS,
    find_evaluator as find_evaluator,
    register_evaluator as register_evaluator,
)
from .fusion import fuse as fuse
from .probes import PROBES as PROBES, Features as Features, extract_features as extract_features, probe as probe
from .protocols import PROTOCOLS as PROTOCOLS, get_protocol as get_protocol
from .results import Result as Result, average_splits as average_splits, describe_splits as describe_splits
from .scores import Scores as Scores
from .scoring import evaluate as evaluate, score as score
