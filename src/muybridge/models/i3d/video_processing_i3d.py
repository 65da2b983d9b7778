"""What I3D's Kinetics weights expect, on frames and on optical flow."""

from muybridge.processing import FlowProcessor, VideoProcessor, register_processor


class I3DVideoProcessor(VideoProcessor):
    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    image_mean = [0.5, 0.5, 0.5]
    image_std = [0.5, 0.5, 0.5]
    num_frames = 64
    sampling = "dense"
    fps = 25


@register_processor  # for an architecture has one processor, and this is another one's
class I3DFlowProcessor(FlowProcessor):
    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    num_frames = 64
    sampling = "dense"
    fps = 25
    flow_bound = 20.0
    flow_scale = 0.05  # so that the values lie in [-1, 1]
