"""Pictures of batches of images: every pixel at its place, and what is no image."""

import struct
import zlib

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import save_image

RANDOM = np.random.default_rng(0)


def pixels(path):
    """Those of a PNG file without filters."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    place = data.index(b"IDAT")
    length = int.from_bytes(data[place - 4 : place], "big")
    rows = np.frombuffer(zlib.decompress(data[place + 4 : place + 4 + length]), np.uint8)
    return rows.reshape(height, -1)[:, 1:].reshape(height, width, 3)


def test_images_stand_row_after_row(tmp_path):
    images = RANDOM.integers(0, 256, (5, 3, 4, 6), np.uint8)
    found = pixels(save_image(ts.asarray(images), tmp_path / "a.png", columns=3, padding=2))
    assert found.shape == (4 + 2 + 4, 6 + 2 + 6 + 2 + 6, 3)
    expected = np.zeros_like(found)
    for number, image in enumerate(images):
        top, left = 6 * (number // 3), 8 * (number % 3)
        expected[top : top + 4, left : left + 6] = image.transpose(1, 2, 0)
    assert (found == expected).all()


def test_greys_of_any_kind_of_number(tmp_path):
    numbers = [[0.0, 0.5, 1.0], [-1.0, 2.0, np.nan]]
    for array in (
        np.array([numbers]),
        np.array([[numbers]], np.float32),
        ts.asarray([numbers]).astype(ts.bfloat16),
    ):
        found = pixels(save_image(array, str(tmp_path / "a.PNG"), padding=0))  # fmt: skip
        assert found[:, :, 0].tolist() == [[0, 128, 255], [0, 255, 0]]
        assert (found[:, :, 0] == found[:, :, 2]).all()
    assert pixels(save_image(np.array([[[True, False]]]), tmp_path / "b.png"))[0, :, 1].tolist() == [255, 0]  # fmt: skip


@pytest.mark.parametrize(
    ("images", "name", "kind", "text"),
    [
        (np.zeros((2, 2)), "a.png", errors.ShapeError, r"the shape \(2, 2\); expected \(N, H, W\)"),
        (np.zeros((1, 2, 3, 3)), "a.png", errors.ShapeError, "one or three channels"),
        (np.zeros((0, 3, 3)), "a.png", errors.ShapeError, "at least one image"),
        (np.zeros((1, 3, 3), np.int64), "a.png", errors.DTypeError, "of int64; expected fractions from 0 to 1"),
        ([1, 2], "a.png", errors.ArgumentTypeError, "expected a tensor or an array"),
        (np.zeros((1, 3, 3)), "a.jpg", errors.ArgumentError, r"expected one that ends in \.png"),
    ],
)  # fmt: skip
def test_what_is_no_picture(tmp_path, images, name, kind, text):
    with pytest.raises(kind, match=text):
        save_image(images, tmp_path / name)
    assert not list(tmp_path.iterdir())
