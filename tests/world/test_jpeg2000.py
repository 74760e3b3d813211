"""JPEG 2000 of other bits than 8: the same picture."""

import base64

import numpy as np
import pytest
from PIL import Image

from imgcls_beam.preparing import jpeg2000_reader
from tests import pictures
from tests.pictures import JPEG2000_OF_16_BITS

RATIO = np.add.outer(np.arange(8) * 4, np.arange(12) * 2) / 50
"""The picture, from black to white."""
COLOUR = np.stack([RATIO, 1 - RATIO, (1 - RATIO)[::-1]], axis=-1)

DEEP = {
    "RGB, 9 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAwgHAAAAAAAP"
        "Y29scgEAAAAAABAAAAFvanAyY/9P/1EALwAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAwgBAQgB"
        "AQgBAf9SAAwAAAABAQAEBAAB/1wABEBI/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AA"
        "CgAAAAAA9wAB/5PD6jwUACt6HSfaiDIKhKvNe5rSCPHM0M22wqPyPJIh19VgyM7G/0eHWXiWIWfF5eWnJ9R5lBg1"
        "bFCv3KaHmw/fmkASjjU2Z4cfXV2o98VPLc9cExCGlHWleCPkgNIb3JKq08NEUXgmJSc6NCIqqqqqw6sAAAAAZgFA"
        "AAAAMoE50oKV8kx4Z/tIen/fmuARTwezqolXhHpUBM7F/kj0D2M2JxcRVAEjGWq8bN0QGLIyWgOX6mhW6v27D9yA"
        "dFKsVJWaZicI5WkopKxqtqHQ0Y/0RHgwu4Km6Nu5qDWjFk8ojn6t+ykAltS/B//Z"
    ),
    "RGB, 12 bits, bare": (
        "/0//UQAvAAAAAAAMAAAACAAAAAAAAAAAAAAADAAAAAgAAAAAAAAAAAADCwEBCwEBCwEB/1IADAAAAAEBAAQEAAH/"
        "XAAEQGD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAAFTAAH/k8PzXBQAK3od"
        "J9rg1RCVea+K9VGFBApIpAgG6MnFk8YKtC2G1IcYzlaJ80EB1bHsozZxji0/expebEHuqUvmwMDsIrVWrcZEfA8F"
        "EtuvnKU9LFtsNhgq8tJPGy+SHXip3+GUEo41NmeHH11dqPfFTy3PXBMQhpR1pXgj5IDSG9ySqtPDRFF4JiUnOjQi"
        "KqqqqsOrAAAAAGYBQAAAAD/tf25m21gpdbzuG0TmfbWCmA4KQNiidGlIj0mM9p//bNw75FBhFG6/j3/f4ewRTwez"
        "qolXhHpUBM7F/kj0D2M2JxcRVAEjGWq8bN0QGLIyWgOX6mhW6v27D9yAdFKsVJWaZicI5VzvkbKzfbpdPzLhnvRl"
        "Y6hzUiq46LhhPBo80uu0Wyd4faEZ692nEi30pUyN7dXXv+GBp0lgaQ30cD8Yr2IaYoozot//2Q=="
    ),
    "RGB, 16 bits": JPEG2000_OF_16_BITS,
    "RGBA, 16 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwABA8HAAAAAAAP"
        "Y29scgEAAAAAABAAAAM8anAyY/9P/1EAMgAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAABA8BAQ8B"
        "AQ8BAQ8BAf9SAAwAAAABAAAEBAAB/1wABECA/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40"
        "/5AACgAAAAACwQAB/5Pf+JVAEjDGSxLdZ9AtpYJO4JdokQimUKAjM0RG3PcwMNm6IDLDq1rJQZyoVur9uw91lBqS"
        "UmZraZicIVz+/z4wf+SClU/MuGevGSIyhzUiq46Lhg73lutBCoE6nD7QfadE2Gw1h3p7Y1zM9W3Xu2MkPKuaSEpS"
        "HhG4m87g3ubipRj5pc4tSC4jUkjHKGvcy7KdR51JfUkS+ZFtJseIaxa8pyGy4x0zGeHYi6wh3/iVQIL5Lc8JIqn8"
        "QdOgiYBxf8/O0D3WJDvXJTzH15J/v0cgUglbKfzBnKhW6v27BXr1eopSZmtpmJwlgw9/vjB/5IKVT8y4Z567KjqH"
        "NSKrjouF/2OwdaCFQJ1OH2g+y5JUNhrDvT2xrmZ6tuvskdnf1GYkejKQ8I3Exmy3u7Oqw677DuxzxeGsZ20nM/Y7"
        "mLzX8JuzjG1sExEKJTXA0OqGmdiLorKsIaZ2J9/4lVhKx4ZHdh8YyJW9BKPqyxSAEYkQsLjwgB87l67CSiDH40eP"
        "6yZ/GkYyL24yEUfsEUlRXchHN1yv97+nxQ2IDE94TkNfE1diT24URKaDQXuo/1RThd4icZS4Kqd+cjpC8J53m/b/"
        "B+b7fufQR0TgFQAYQ6E+nX8EbNsUfO2Hp7bm3MSHdpPya6tjw2NSvpOEQHcNpXUlupqX1eg4RNqjN4u5xlwHXKa6"
        "5TXXKa3f+JVAEjDGSxLdZ9AtpYJO4JdokQimUKAjM0RG3PcwMNm6IDLDq1rJQZyoVur9uw91lBqSUmZraZicIVz+"
        "/z4wf+SClU/MuGevGSIyhzUiq46Lhg73lutBCoE6nD7QfadE2Gw1h3p7Y1zM9W3Xu2MkPKuaSEpSHhG4m87g3ubi"
        "pRj5pc4tSC4jUkjHKGvcy7KdR51JfUkS+ZFtJseIaxa8pyGy4x0zGeHYi6wh/9k="
    ),
    "RGB, 10 bits, lossy": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAwkHAAAAAAAP"
        "Y29scgEAAAAAABAAAAGnanAyY/9P/1EALwAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAwkBAQkB"
        "AQkBAf9SAA0BAgABAQAEBAAAiP9cAAVCUAD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/"
        "kAAKAAAAAAEtAAH/k8fesBTeJ14Mnzc4I/YRc9wOW41ywQJzaS2/2gOR24tjAfvTu96qx0oMyaprFshlk7AF/R69"
        "hKFTU4VF8r4RywycYzMUywSwjNg2WQ4sVddfAV+2a1n8Vd1oTaTPyXRKhOR6oHJmbIujWgsv4mUMt2oD92c6Id5q"
        "ROuhmgWWYFTjqa14hOuGg80gnaSUCS6eJ+8wBguqNOZu8qWi2ckI49OdKcVbvFbEMHHhSRUpVEEb2PJtkaKn/xFT"
        "+YnPvYQRTwMZAwaM7P91zI7+NRNKLe19rbDZ/Mmt8jxpalT2mO1WipKy24nPSoGHueNjZVM3jU0UkGBCFdx4c3fC"
        "bbPtXS9cdXxzTY0uLhg3stw3eZmA1SNiGDP51b9WMhM0m3Z+/9k="
    ),
    "RGBA, 16 bits, lossy": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwABA8HAAAAAAAP"
        "Y29scgEAAAAAABAAAAJManAyY/9P/1EAMgAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAABA8BAQ8B"
        "AQ8BAQ8BAf9SAA0BAgABAAAEBAAAiP9cAAVCgAD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41"
        "LjT/kAAKAAAAAAHPAAH/k9/DaBIwxksS3WfQLaWCTuCXaJEIplCgIzNERtz3MDDZuiAyw6tayUGcqFbq/bsPdZQa"
        "klJma2mYnCFc/v8+MH/kgpVPzLhnrxkiMoc1IquOi4YO95brQQqBOpw+0H2nRNhsNYd6e2NczPVt17tjJDzfw3CC"
        "+S3PCSKp/EHToImAcX/PztA91iQ71yU8x9eSf79HIFIJWyn8wZyoVur9uwV69XqKUmZraZicJYMPf74wf+SClU/M"
        "uGeeuyo6hzUiq46Lhf9jsHWghUCdTh9oPsuSVDYaw709sa5merbr7JHZ39/DaErHhkd2HxjIlb0Eo+rLFIARiRCw"
        "uPCAHzuXrsJKIMfjR4/rJn8aRjIvbjIRR+wRSVFdyEc3XK/3v6fFDYgMT3hOQ18TV2JPbhREpoNBe6j/VFOF3iJx"
        "lLgqp35yOkLwnneb9v8H5vt+59BHRODfw2gSMMZLEt1n0C2lgk7gl2iRCKZQoCMzREbc9zAw2bogMsOrWslBnKhW"
        "6v27D3WUGpJSZmtpmJwhXP7/PjB/5IKVT8y4Z68ZIjKHNSKrjouGDveW60EKgTqcPtB9p0TYbDWHentjXMz1bde7"
        "YyQ8/9k="
    ),
    "RGB, 12 bits, signed": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAA4sHAAAAAAAP"
        "Y29scgEAAAAAABAAAAHLanAyY/9P/1EALwAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAA4sBAYsB"
        "AYsBAf9SAAwAAAABAQAEBAAB/1wABEBg/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AA"
        "CgAAAAABUwAB/5PD81wUACt6HSfa4NUQlXmvivVRhQQKSKQIBujJxZPGCrQthtSHGM5WifNBAdWx7KM2cY4tP3sa"
        "XmxB7qlL5sDA7CK1Vq3GRHwPBRLbr5ylPSxbbDYYKvLSTxsvkh14qd/hlBKONTZnhx9dXaj3xU8tz1wTEIaUdaV4"
        "I+SA0hvckqrTw0RReCYlJzo0IiqqqqrDqwAAAABmAUAAAAA/7X9uZttYKXW87htE5n21gpgOCkDYonRpSI9JjPaf"
        "/2zcO+RQYRRuv49/3+HsEU8Hs6qJV4R6VATOxf5I9A9jNicXEVQBIxlqvGzdEBiyMloDl+poVur9uw/cgHRSrFSV"
        "mmYnCOVc75Gys326XT8y4Z70ZWOoc1IquOi4YTwaPNLrtFsneH2hGevdpxIt9KVMje3V17/hgadJYGkN9HA/GK9i"
        "GmKKM6Lf/9k="
    ),
    "RGB, 16 bits, HTJ2K": (
        "/0//UQAvQAAAAAAMAAAACAAAAAAAAAAAAAAADAAAAAgAAAAAAAAAAAADDwEBDwEBDwEB/1AACAACAAAAC/9SAAwA"
        "AgABAQUEBEAB/1wAEyCQmJiYmJiYmJiYmJiYkJCQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAXgA"
        "Af+TwAATAOr9Awd0AMAAEwDT4wSHdADAABMAf5sFB3QAAAAAwAAJgK/XBId0AADAAAmAtF4Fh3QAwAAJgOD+Agd0"
        "AMAACOAABUwAAIwAYwDAdYHr/gFiNAAAYwDAAAmgAAVMAACQhfsDB3QAwHV96/4BYjQA/gBjAMAACpBwcAf3AOD9"
        "tQDAAAkgAAWhAAAk/ANDAAIAKFwoXAAAFO4AQgDklgD5COMAwAAKmAABaEAACQBGwplwASD9tQAAAChcKFwAgBTu"
        "AEIA5JYAALXUAMAAFpQAASwAASgAAECPegQAAOhRj/7QSWmCtgD4UERkAPhAGOQAwAAVEAAFswAATKL5VaV/b7YA"
        "2KMAgHoUAKAeqUcBAOpR9ejBI5SkBv6IAERe57ZFAMAAFrwAAW3AABUgIwAIAPJIHlkAgABgj+DRToqtAW9ceAAk"
        "exQ9CgCoRwGAegQAqEfq0QBIFSkAEuzr6gCosABUk3meFwD/2Q=="
    ),
}
"""Colour of the picture, of more than 8 bits: by imagecodecs, since Pillow writes none."""

GREY = {
    "grey, 1 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQAHAAAAAAAP"
        "Y29scgEAAAAAABEAAACKanAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQABAf9S"
        "AAwAAAABAAAEBAAB/1wABEAI/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
        "GAAB/5PVABFQUwHIOE0X/9k="
    ),
    "grey, 2 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQEHAAAAAAAP"
        "Y29scgEAAAAAABEAAACPanAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQEBAf9S"
        "AAwAAAABAAAEBAAB/1wABEAQ/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
        "HQAB/5PdNBEdtk+u86TqmoWiuSf/2Q=="
    ),
    "grey, 4 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQMHAAAAAAAP"
        "Y29scgEAAAAAABEAAACjanAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQMBAf9S"
        "AAwAAAABAAAEBAAB/1wABEAg/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
        "MQAB/5PfIgASMMdaVupyT2/n4JerBFe+Ep6dkTA+1iL9Tt2H6wqEH//Z"
    ),
    "grey, 7 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQYHAAAAAAAP"
        "Y29scgEAAAAAABEAAADJanAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQYBAf9S"
        "AAwAAAABAAAEBAAB/1wABEA4/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
        "VwAB/5PfajASMMZLEt1n0C2lgk7gl2iRCKZQoCcB/CgmCTAw2bogLwLNdNeiLBmi938vNFPoV+Txi1L0AFd2BRF2"
        "iem85xdw0NAVgzvT/9k="
    ),
    "grey, 9 bits": (
        "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAwAAQgHAAAAAAAP"
        "Y29scgEAAAAAABEAAADganAyY/9P/1EAKQAAAAAADAAAAAgAAAAAAAAAAAAAAAwAAAAIAAAAAAAAAAAAAQgBAf9S"
        "AAwAAAABAAAEBAAB/1wABEBI/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAA"
        "bgAB/5PfmugSMMZLEt1n0C2lgk7gl2iRCKZQoCMzREbc9zAw2bogMsOrWslBnKhW6v27D3WUGo6CIvkd7CMs1O7t"
        "WZ29L/ZtrZLonvh088FXJR2IDu4HdW0gYExl5NdZBMZePX//2Q=="
    ),
}
"""Grey of the picture, by imagecodecs."""


def _decode(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    image = pictures.decode(base64.b64decode(text)).image
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


@pytest.mark.parametrize("name", DEEP)
def test_colour_of_more_than_8_bits_is_the_picture(name: str) -> None:
    bits = next(each for each in (9, 10, 12, 16) if f" {each} bits" in name)
    values = np.rint(COLOUR * ((1 << bits) - 1)).astype(np.int64)
    rounded = np.minimum(values + (1 << bits - 9) >> bits - 8, 255)
    most = 2 if "lossy" in name else 0
    assert np.abs(_decode(DEEP[name]) - rounded).max() <= most


def test_black_and_white_are_told_apart_in_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _decode(DEEP["RGB, 16 bits"])
    monkeypatch.setattr(jpeg2000_reader, "_CHUNK_VALUES", 12 * 3)
    np.testing.assert_array_equal(_decode(DEEP["RGB, 16 bits"]), whole)


@pytest.mark.parametrize("name", GREY)
def test_grey_of_other_bits_is_the_picture(name: str) -> None:
    bits = int(name.split()[1])
    values = np.rint(RATIO * ((1 << bits) - 1)).astype(np.int64)
    level = values >> bits - 8 if bits > 8 else np.rint(values * 255 / ((1 << bits) - 1))
    np.testing.assert_array_equal(_decode(GREY[name])[..., 1], level)


@pytest.mark.parametrize("bits", [8, 12])
def test_signed_grey_counts_from_its_lowest_number(bits: int) -> None:
    """As its decoders have it: 0 is mid-grey. What is packed is the same, signed or not."""
    grey = pictures.draw_picture().convert("L")
    pixels = np.asarray(grey).astype(np.uint16) << bits - 8
    middle = (1 << 15) - (1 << bits - 1) if bits > 8 else 0
    image = Image.fromarray(pixels + np.uint16(middle)) if bits > 8 else grey
    data = bytearray(pictures.encode(image, "JPEG2000", no_jp2=True))
    data[data.index(b"\xff\x51") + 40] = 0x80 | bits - 1
    np.testing.assert_array_equal(np.asarray(pictures.decode(bytes(data)).image)[..., 0], grey)
