"""What C3D's Sports-1M weights expect, but for the mean of its training frames."""

from muybridge.processing import VideoProcessor


class C3DVideoProcessor(VideoProcessor):
    size = {"height": 128, "width": 171}
    crop_size = {"height": 112, "width": 112}
    rescale_factor = 1.0  # its pixels lie in [0, 255]
    image_mean = [0.0, 0.0, 0.0]
    image_std = [1.0, 1.0, 1.0]
    num_frames = 16
    sampling = "dense"
