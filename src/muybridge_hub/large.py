"""Decides which files are large. A large file is uploaded outside the commit (LFS), and git knows it by a pointer."""

SAMPLE_SIZE = 512  # bytes at the beginning of a file by which it is judged

# Files with these endings count as large whatever their size, because people compare their sha256.
LARGE_ENDINGS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".npy", ".npz", ".parquet", ".arrow"),
    *(".zip", ".tar", ".gz", ".zst", ".7z", ".mp4", ".avi", ".mkv", ".webm", ".mov", ".wav", ".mp3", ".flac"),
)


def is_large_file(path: str, size: int, sample: bytes, large_from: int) -> bool:
    """Decides by the name, the size, and by whether the beginning of the file (`sample`) looks like text."""
    return size >= large_from or b"\0" in sample or path.lower().endswith(LARGE_ENDINGS)
