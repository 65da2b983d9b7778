"""Arrays that worker processes see without a copy."""

import mmap
import tempfile
from multiprocessing import reduction
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


class SharedArray:
    """A read-only array whose memory forked and spawned processes share.

    A forked process shares memory anyway. For a spawned process the array is written to a file without a name, which
    the process maps into its memory: only a handle goes through the pipe. The file vanishes with its last user.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = np.ascontiguousarray(array)
        self.array.flags.writeable = False
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self.array)

    def open_file(self) -> IO[bytes]:
        """The file with the bytes of the array, made once."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the array
            self._file.write(self.array.data)
            self._file.flush()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {"array": self.array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["array"])  # type: ignore[misc]


def share_array(shared: SharedArray) -> tuple[Any, ...]:
    """What another process makes the array of."""
    if not shared.array.nbytes:
        return SharedArray, (shared.array,)
    handle = reduction.DupFd(shared.open_file().fileno())
    return map_array, (handle, shared.array.dtype.str, shared.array.shape)


def map_array(handle: Any, dtype: str, shape: tuple[int, ...]) -> SharedArray:
    """The array in the file that another process has opened."""
    file = open(handle.detach(), "rb")  # noqa: SIM115, PTH123 - it lives as long as the array
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    shared = SharedArray(np.frombuffer(memory, dtype=dtype).reshape(shape))
    shared._file = file  # so that it can be handed on
    return shared


if hasattr(reduction, "DupFd"):  # elsewhere, on Windows, a process gets a copy
    reduction.register(SharedArray, share_array)
