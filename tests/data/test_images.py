"""Images in folders."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import Compose, DataLoader, ImageFolder, RandomResizedCrop, Resize, ToFloat

Image = pytest.importorskip("PIL.Image", reason="Pillow, the extra `images`, is not there")


@pytest.fixture
def folder(tmp_path):
    """Two cats and two dogs of different sizes, in colours that tell which."""
    for number, (name, size) in enumerate([("dog/b.png", (30, 20)), ("cat/a.jpg", (16, 24)), ("cat/more/c.png", (40, 40)), ("dog/a.png", (20, 20))]):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10 * number, 100, 200)).save(path, quality=95)
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_are_classes(folder):
    images = ImageFolder(folder, size=(8, 12))
    assert images.classes == ["cat", "dog"] and images.class_to_idx == {"cat": 0, "dog": 1}
    assert [path.name for path, _ in images.samples] == ["a.jpg", "c.png", "a.png", "b.png"]
    batch, labels = next(iter(DataLoader(images, 4)))
    assert batch.shape == (4, 3, 8, 12) and batch.dtype == ts.uint8
    assert labels.tolist() == [0, 0, 1, 1]
    assert batch[:, 0, 3, 3].tolist()[1:] == [20, 30, 0]  # which are stored without loss
    image, label = images[3]
    assert image.shape == (3, 8, 12) and label == 1
    assert ImageFolder(folder, size=5, mode="L")[0][0].shape == (5, 5)


def test_images_as_they_are_have_sizes_of_their_own(folder):
    images = ImageFolder(folder)
    assert images[3][0].shape == (3, 20, 30)
    with pytest.raises(errors.ShapeError, match="ImageFolder: the images are of different sizes"):
        next(iter(DataLoader(images, 4)))


def test_transforms_get_images_of_their_own_sizes(folder):
    transform = Compose([RandomResizedCrop(6), ToFloat()])

    def made(**arguments):
        return [batch[0].numpy() for batch in DataLoader(ImageFolder(folder, transform=transform), 2, generator=0, **arguments)]  # fmt: skip

    first = made()
    assert first[0].shape == (2, 3, 6, 6) and first[0].dtype == np.float32
    np.testing.assert_array_equal(made(num_workers=2), first)


def test_resizing_is_that_of_pillow(folder):
    images = ImageFolder(folder)
    noise = np.random.default_rng(0).integers(0, 256, (37, 29, 3), np.uint8)
    for size in ((12, 9), (50, 61)):
        wanted = np.asarray(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BILINEAR))
        found = Resize(size)(noise.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
        assert np.abs(found.astype(int) - wanted).max() <= 1
    assert Resize(10)([images.picture(0), images.picture(3)])[0].shape == (3, 15, 10)


def test_damaged_images_are_named(folder):
    whole = (folder / "cat" / "a.jpg").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no image at all"):
        (folder / "cat" / "a.jpg").write_bytes(content)
        with pytest.raises(errors.BadRowError, match=r"a\.jpg, row 0: no image, or damaged"):
            list(DataLoader(ImageFolder(folder, size=8), 2))


def test_damaged_images_are_left_out_if_that_is_asked_for(folder):
    (folder / "cat" / "a.jpg").write_bytes(b"no image at all")
    for workers in (0, 1):
        loader = DataLoader(ImageFolder(folder, size=8), 2, bad_rows="skip", num_workers=workers)
        with pytest.warns(
            errors.SkippedRowsWarning, match=r"1 bad rows were left out; the first: .*a.jpg, row 0"
        ):
            sizes = [len(labels) for _, labels in loader]
        assert sizes == [1, 2]


def test_bad_folders(tmp_path, folder):
    (folder / "empty").mkdir()
    with pytest.raises(
        errors.ArgumentError, match=r"has no images; expected files that end in \.jpg"
    ):
        ImageFolder(folder)
    with pytest.raises(errors.ArgumentError, match="has no folders; expected one for each class"):
        ImageFolder(folder / "empty")
    with pytest.raises(FileNotFoundError):
        ImageFolder(tmp_path / "nothing")
    with pytest.raises(errors.ArgumentError, match="size and transform"):
        ImageFolder(folder, size=3, transform=ToFloat())
