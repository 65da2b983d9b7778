"""How good a model is, and how that was measured.

- `protocols`: how a video is judged, by name. `metrics`: what is measured, as functions on arrays.
- `evaluate`: a model on videos becomes `scores`, of which a file is kept, and they become `results`; `views` is how
  every view goes through the network once, whatever the number of processes, and `provenance` what it ran on.
- `fusion`: the scores of several models become one. `probes`: classifiers on a model's features.
- `groups`: kinds of labels, each with its precision. `pictures`: confusion matrices and reliability diagrams.
"""

from muybridge.evaluation.evaluate import evaluate, score
from muybridge.evaluation.fusion import fuse
from muybridge.evaluation.probes import PROBES, Features, extract_features, probe
from muybridge.evaluation.protocols import PROTOCOLS, get_protocol
from muybridge.evaluation.results import Result, describe_splits, over_splits
from muybridge.evaluation.scores import Scores

__all__ = [
    "PROBES",
    "PROTOCOLS",
    "Features",
    "Result",
    "Scores",
    "describe_splits",
    "evaluate",
    "extract_features",
    "fuse",
    "get_protocol",
    "over_splits",
    "probe",
    "score",
]
