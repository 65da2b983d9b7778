from .adapters import adapt as adapt
from .heads import HEADS as HEADS
from .inflation import inflate as inflate
from .inspection import count_gmacs as count_gmacs, count_parameters as count_parameters
from .loading import load_model as load_model, load_processor as load_processor
from .optimization import optimize as optimize
from .registry import (
    ARCHITECTURES as ARCHITECTURES,
    TASKS as TASKS,
    Architecture as Architecture,
    Paper as Paper,
    Task as Task,
    register as register,
    register_task as register_task,
)
