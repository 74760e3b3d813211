"""The boxes of ISO files, which AVIF and JPEG 2000 are made of."""


def is_box_cut(data: bytes) -> bool:
    """Whether the last box ends behind the data, or none holds pixels."""
    at, has_pixels = 0, False
    while at + 8 <= len(data):
        has_pixels |= data[at + 4 : at + 8] in (b"mdat", b"jp2c")
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length < 8:  # 0: the last box, as long as the file is
            return False
        at += length
    return at != len(data) or not has_pixels
