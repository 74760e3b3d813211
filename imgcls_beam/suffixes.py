"""The names of images: which suffixes each format has.

A folder takes files by their suffixes, and no file is opened for it; what a file is, its first
bytes say later, in `preparing.formats`. The names of formats are the same there and here.
"""

import itertools

DECODED = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
}
"""Suffixes of the formats that are decoded, in small letters."""

RECOGNISED = {
    "HEIF": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "JPEG XL": (".jxl",),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "JPEG-LS": (".jls",),
    "camera raw": (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq"),
        *(".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2"),
        *(".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ),
    "Photoshop": (".psd", ".psb"),
    "GIMP": (".xcf",),
    "OpenEXR": (".exr",),
    "DICOM": (".dcm", ".dicom"),
    "TGA": (".tga",),
    "SGI": (".sgi",),
    "PCX": (".pcx",),
    "PAM": (".pam",),
    "QOI": (".qoi",),
    "BPG": (".bpg",),
    "FLIF": (".flif",),
}
"""Suffixes of pictures that are decoded with an extra, or not at all: each is a row all the same.
Drawings, icons and textures are no pictures that somebody took: a folder passes them over."""

IMAGE_SUFFIXES = tuple(itertools.chain(*DECODED.values(), *RECOGNISED.values()))
"""What a folder takes."""
