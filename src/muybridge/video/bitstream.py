"""What the first bytes of a compressed frame say, where the container's flags cannot be believed."""

from collections.abc import Iterator

from muybridge.video.decoder import VideoPacket

MPEG4_FRAME_START = b"\x00\x00\x01\xb6"
MIN_MPEG4_FRAME_BYTES = 16  # a shorter one only says that the frame before stays

H264_IDR, H264_SEI = 5, 6
SEI_RECOVERY_POINT = 6
RECOVERED_EXACTLY = 0b1100_0000


def holds_one_frame(packet: VideoPacket, codec: str) -> bool:
    """False for an MPEG-4 packet that packs a B-frame with its reference, or stands for one so packed."""
    if codec != "mpeg4":
        return True
    return packet.size >= MIN_MPEG4_FRAME_BYTES and bytes(packet).count(MPEG4_FRAME_START) == 1


def is_clean_start(packet: VideoPacket, codec: str, extradata: bytes | None) -> bool:
    """Is every frame displayed from this keyframe on exact when decoding starts here?

    In H.264 a container may call a picture a keyframe from which the image only recovers over many frames
    (intra refresh), or that later frames reach behind. Sure are an IDR picture, and a recovery point that
    recovers at once.
    """
    if codec != "h264":
        return True
    for unit in _h264_units(bytes(packet), extradata or b""):
        kind = unit[0] & 0x1F if unit else 0
        if kind == H264_IDR or (kind == H264_SEI and _recovers_at_once(unit[1:])):
            return True
    return False


def _h264_units(data: bytes, extradata: bytes) -> Iterator[bytes]:
    """The NAL units of a packet, behind their lengths (MP4, Matroska) or between start codes (the rest)."""
    if extradata[:1] != b"\x01":
        yield from data.split(b"\x00\x00\x01")[1:]
        return
    num_length_bytes = (extradata[4] & 3) + 1
    start = 0
    while start + num_length_bytes < len(data):
        length = int.from_bytes(data[start : start + num_length_bytes], "big")
        start += num_length_bytes
        yield data[start : start + length]
        start += length


def _recovers_at_once(sei: bytes) -> bool:
    """Is there a recovery point at which frames are exact, with no frame in between?

    It begins with the frames until recovery, of which 0 is a single 1 bit in exp-Golomb code, and a bit that says
    whether frames are exact from there on or only look alike.
    """
    while len(sei) > 2:
        kind, sei = _sei_number(sei)
        length, sei = _sei_number(sei)
        if kind == SEI_RECOVERY_POINT and sei[:1]:
            return sei[0] & RECOVERED_EXACTLY == RECOVERED_EXACTLY
        sei = sei[length:]
    return False


def _sei_number(sei: bytes) -> tuple[int, bytes]:
    """A number as bytes of 255 and a last one, and what follows it."""
    num_full = len(sei) - len(sei.lstrip(b"\xff"))
    last = sei[num_full] if num_full < len(sei) else 0
    return 255 * num_full + last, sei[num_full + 1 :]
