"""What torchvision's Kinetics-400 weights of R3D, MC3 and R(2+1)D expect."""

from muybridge.processing import VideoProcessor


class VideoResNetVideoProcessor(VideoProcessor):
    size = {"height": 128, "width": 171}
    crop_size = {"height": 112, "width": 112}
    image_mean = [0.43216, 0.394666, 0.37645]
    image_std = [0.22803, 0.22145, 0.216989]
    num_frames = 16
    sampling = "dense"
    fps = 15
