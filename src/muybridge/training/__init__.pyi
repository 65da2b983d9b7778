from .errors import TrainingError as TrainingError
from .loop import train as train
from .settings import TrainingSettings as TrainingSettings
