from .ahead import map_ahead as map_ahead
from .batches import Inputs as Inputs, Outputs as Outputs
from .engine import Engine as Engine, Outcome as Outcome
from .loading import Loading as Loading
from .modes import evaluation_mode as evaluation_mode
from .videos import VideoLoader as VideoLoader, count_frames as count_frames, get_stores as get_stores
