"""Images in folders: a folder for each class."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.data.datasets import Dataset, row_number, transformed
from tessella.data.seeds import RowGenerator, Seeds
from tessella.data.tables import place
from tessella.data.transforms import Cover, stacked
from tessella.errors import ArgumentError, BadRowError, ConfigurationError

EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
)


@functools.cache
def pillow() -> Any:
    """The module of Pillow that opens images.

    Raises:
        ConfigurationError: it is not installed.
    """
    if importlib.util.find_spec("PIL") is None:
        raise ConfigurationError(
            "images are read by Pillow, which is not installed: pip install 'tessella[images]'"
        )
    from PIL import Image

    return Image


class ImageFolder(Dataset):
    """The images in the folders of a folder: the name of each folder is a class.

    A row is an image, as an array, and the number of its class. Classes are numbered in the order of their names; the
    images of a class come in the order of their paths.

    Args:
        root: the folder of the folders.
        size: bring each image to this size: height and width, or one number for both. The shorter side is resized to
            fit, and the middle taken.
        transform: a transform of batches (`tessella.data.transforms`) instead; it gets a list of images of their own
            sizes.
        mode: Pillow's word for what an image consists of: "RGB", or "L" for grey.
        extensions: which files are images.

    Shapes: (3, H, W), or (H, W) for "L"; (B, 3, H, W) in a batch.

    Dtypes: uint8, and int64 for the class.

    Raises:
        ArgumentError: there are no folders, or no images in one of them.
        BadRowError: when it is read, an image is damaged; names the file.
        ConfigurationError: Pillow is not installed.
        OSError: the folder cannot be read.
    """

    @public
    def __init__(
        self,
        root: Any,
        size: Any = None,
        transform: Any = None,
        mode: str = "RGB",
        extensions: Sequence[str] = EXTENSIONS,
    ) -> None:
        pillow()
        self.root = place(root, "ImageFolder")
        self.mode = mode
        if size is not None and transform is not None:
            raise ArgumentError("ImageFolder: size and transform; a transform brings the images to a size, give one of them")  # fmt: skip
        self.transform = Cover(size) if size is not None else transform
        if transform is not None and not callable(transform):
            raise ArgumentError(f"ImageFolder: transform is {shown(transform)}; expected a function of a batch")  # fmt: skip
        self.classes = sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())
        if not self.classes:
            raise ArgumentError(f"ImageFolder: {self.root} has no folders; expected one for each class")  # fmt: skip
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.samples = [
            (path, number)
            for number, name in enumerate(self.classes)
            for path in _images_in(self.root / name, tuple(extensions))
        ]
        self.targets = np.array([number for _, number in self.samples], np.int64)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: Any) -> tuple[Any, int]:
        number = row_number(row, len(self), "ImageFolder")
        generator = RowGenerator(Seeds(None, "ImageFolder").next().seed, 0, [number])
        images, targets = self.__getbatch__([number], generator)
        return images[0], int(targets[0])

    def __getbatch__(self, rows: Any, generator: RowGenerator | None = None) -> tuple[Any, Any]:
        """Several images and their classes."""
        numbers = [row_number(row, len(self), "ImageFolder") for row in rows]
        images = [self.picture(number) for number in numbers]
        found = transformed(self.transform or _arrays, images, generator)
        whole = np.ascontiguousarray(found) if isinstance(found, np.ndarray) else found
        return whole, self.targets[numbers]

    def picture(self, row: int) -> Any:
        """An image as Pillow has it, in the mode of the folder."""
        path = self.samples[row][0]
        try:
            with pillow().open(path) as image:
                if image.mode != self.mode:
                    return image.convert(self.mode)
                image.load()
                return image
        except (OSError, SyntaxError, ValueError, pillow().DecompressionBombError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise BadRowError(f"{path}, row {row}: no image, or damaged: {error}") from None


def _images_in(folder: Path, extensions: tuple[str, ...]) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions)
    if not found:
        raise ArgumentError(
            f"ImageFolder: {folder} has no images; expected files that end in {', '.join(extensions)}"
        )
    return found


def _arrays(images: list[Any]) -> Any:
    """Images of one size as a batch of (B, C, H, W)."""
    return stacked(images, "ImageFolder")
