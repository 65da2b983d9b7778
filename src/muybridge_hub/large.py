"""Which files are large: known by their sha256, sent on their own, and to git only a pointer."""

SAMPLE = 512

# Files of these kinds count as large however small they are: their hash is what people compare.
LARGE_ENDINGS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".npy", ".npz", ".parquet", ".arrow"),
    *(".zip", ".tar", ".gz", ".zst", ".7z", ".mp4", ".avi", ".mkv", ".webm", ".mov", ".wav", ".mp3", ".flac"),
)


def is_large_file(path: str, size: int, sample: bytes, large_from: int) -> bool:
    """By its name, its size, and whether its beginning is that of a text."""
    return size >= large_from or b"\0" in sample or path.lower().endswith(LARGE_ENDINGS)
