import subprocess
import sys

import muybridge

NAMES = {
    "ARCHITECTURES", "AutoVideoProcessor", "Clip", "ErrorPolicy", "ImageProcessor", "Protocol", "SOURCES",
    "TrainingSettings", "VideoClassificationPipeline", "VideoError", "VideoMetadata", "VideoProcessor", "VideoReader",
    "__version__", "convert", "evaluate", "extract_features", "inflate", "load_videos", "optimize", "publish", "train",
}  # fmt: skip
PARTS = {
    "cards", "checkpoints", "conversion", "data", "evaluation", "inference", "models", "pipelines", "processing",
    "publishing", "training", "types", "video",
}  # fmt: skip


def test_the_public_names_are_these():
    assert set(muybridge.__all__) == set(dir(muybridge)) == NAMES | PARTS
    assert all(getattr(muybridge, name) is not None for name in NAMES | PARTS)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(muybridge, "no_such_name")


def test_nothing_needs_torchvision_torchcodec_or_opencv():
    program = (
        "import sys\n"
        "for name in ('torchvision', 'torchcodec', 'cv2', 'decord'): sys.modules[name] = None\n"
        "import muybridge\n"
        "for name in muybridge.__all__: getattr(muybridge, name)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
