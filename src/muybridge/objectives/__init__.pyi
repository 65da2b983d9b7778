from .base import (
    Batch as Batch,
    Export as Export,
    Numbers as Numbers,
    Objective as Objective,
    Output as Output,
    copy_objective as copy_objective,
    read_numbers as read_numbers,
)
from .classification import Classification as Classification
from .registry import (
    OBJECTIVES as OBJECTIVES,
    get_objective as get_objective,
    register_objective as register_objective,
)
