"""What a layer gives, whatever its shape, becomes one row of features a video.

Shapes: B videos, T frames, D features, P tokens, H×W places of a map.
"""

from torch import Tensor

from muybridge.models.heads.averaging import average_where


def pool_positions(hidden: Tensor, num_videos: int, frame_mask: Tensor | None = None) -> Tensor:
    """The mean (B, D) over the positions of maps (B, D, T, H, W) or tokens (B, P, D).

    A layer that works frame by frame has the frames on the batch axis, (B·T, …), and they are averaged too. Frames that
    are not real, where `frame_mask` (B, T) is False, do not count.
    """
    if hidden.ndim > 3:
        hidden = hidden.flatten(2).mean(dim=2)
    is_frame_by_frame = len(hidden) > num_videos
    if hidden.ndim == 3 and (is_frame_by_frame or frame_mask is None or hidden.shape[1] != frame_mask.shape[1]):
        hidden = hidden.mean(dim=1)
    if hidden.ndim == 2:
        hidden = hidden.unflatten(0, (num_videos, -1))
    if frame_mask is None or hidden.shape[1] != frame_mask.shape[1]:
        return hidden.mean(dim=1)
    return average_where(hidden, 1, frame_mask.bool())
