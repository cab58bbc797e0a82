"""Transforms of images, of whole batches at once.

Images are arrays of (B, C, H, W), or (B, H, W) without channels; or a list of images of different sizes, of (C, H, W)
each, until they are brought to one size. Tensors are taken, too, and then a tensor is given. Each transform is a
function of a batch. Random ones take a `RowGenerator` besides, so that what happens to an image follows from the seed,
the epoch and its row; without one, they draw a seed from the default generator.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Natural, NotNegative, Probability, shown
from tessella.data.collation import to_tensors
from tessella.data.datasets import is_array
from tessella.data.seeds import RowGenerator
from tessella.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tessella.tensors.tensor import Tensor

Images: TypeAlias = Any
Boxes: TypeAlias = np.ndarray[Any, Any]  # (B, 4): top, left, height, width


class Transform:
    """The base of transforms. `_apply` is given the random numbers of the rows, too, which `is_random` ones use."""

    is_random = False

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        raise NotImplementedError(f"{type(self).__name__}._apply(images, chance)")

    def __call__(self, images: Any, generator: RowGenerator | None = None) -> Any:
        name = type(self).__name__
        batch = _taken(images, name)
        made = self._apply(batch, _chance(generator, len(batch), self.is_random, name))
        return to_tensors(made) if isinstance(images, Tensor) else made


def _chance(given: Any, rows: int, is_random: bool, name: str) -> RowGenerator:
    """The random numbers of the rows, as given or from the default generator."""
    if given is None:
        return RowGenerator.drawn(rows) if is_random else RowGenerator(0, 0, range(rows))
    if not isinstance(given, RowGenerator) or len(given) != rows:
        what = f"one for {len(given)} rows" if isinstance(given, RowGenerator) else shown(given)
        raise ArgumentTypeError(
            f"{name}: generator is {what}; expected a ts.data.RowGenerator(seed, epoch, rows) for {rows} rows"
        )
    return given


def _taken(images: Any, name: str) -> Images:
    """A batch of images as an array, or as a list of several sizes."""
    if isinstance(images, Tensor):
        images = images.detach().numpy()
    if isinstance(images, list) and images and all(map(_is_image, images)):
        return [image if _is_picture(image) else _array(image) for image in images]
    if not isinstance(images, np.ndarray) or images.ndim < 3:
        raise ArgumentTypeError(
            f"{name}: images is {shown(images)}; expected an array of (B, C, H, W) or (B, H, W), or a list of images; "
            "images[None] makes a batch of a single one"
        )
    if not images.size:
        raise ShapeError(
            f"{name}: the images have the shape {images.shape}; expected some with pixels"
        )
    return images


def _is_image(image: Any) -> bool:
    array = isinstance(image, (np.ndarray, Tensor)) and image.ndim in (2, 3) and image.size
    return bool(array) or _is_picture(image)


class Compose(Transform):
    """Transforms one after the other; functions of a batch may be among them.

    >>> import numpy as np
    >>> Compose([ToFloat(), Normalize(0.5, 0.5)])(np.full((1, 1, 2, 2), 255, np.uint8)).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """

    @public
    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = _merged(transforms)
        self.is_random = any(getattr(one, "is_random", False) for one in self.transforms)

    def __call__(self, images: Any, generator: RowGenerator | None = None) -> Any:
        if self.is_random:
            generator = _chance(generator, _count(images), True, "Compose")
        for transform in self.transforms:
            is_random = getattr(transform, "is_random", False)
            images = transform(images, generator=generator) if is_random else transform(images)
        return images


def _count(images: Any) -> int:
    if not hasattr(type(images), "__len__") or (is_array(images) and not images.ndim):
        raise ArgumentTypeError(f"Compose: images is {shown(images)}; expected a batch")
    return len(images)


def _merged(transforms: Sequence[Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
    """Transforms in which `ToFloat` and a `Normalize` after it are one, which goes through the images once."""
    found: list[Callable[..., Any]] = []
    for one in transforms:
        if type(one) is Normalize and found and type(found[-1]) is ToFloat:
            found[-1] = _FloatNormalize(one.mean, one.std)
        else:
            found.append(one)
    return tuple(found)


# --- numbers --------------------------------------------------------------------------------------------


class ToFloat(Transform):
    """Whole numbers as float32 from 0 to 1; fractions as float32 as they are.

    >>> import numpy as np
    >>> ToFloat()(np.array([[[0, 255]]], np.uint8)).tolist()
    [[[0.0, 1.0]]]
    """

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        return _each(_as_float, images)


def _as_float(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if images.dtype.kind in "iu":
        return _affine(images, np.float32(1 / _white(images)), None)
    if images.dtype.kind in "fV":
        return images.astype(np.float32, copy=False)
    raise DTypeError(
        f"ToFloat: the images are of {images.dtype}; expected whole numbers or fractions"
    )


def _white(images: np.ndarray[Any, Any]) -> int:
    """What 1.0 is in whole numbers."""
    return int(np.iinfo(images.dtype).max) if images.dtype.kind in "iu" else 1


_FEW = 1 << 16  # pixels


def _affine(images: np.ndarray[Any, Any], factor: Any, more: Any) -> np.ndarray[Any, Any]:
    """A multiple and something more, a few images at once: they fit into a cache, and a batch may not."""
    found = np.empty(images.shape, np.float32)
    few = max(1, _FEW // max(1, math.prod(images.shape[1:])))
    for first in range(0, len(images), few):
        result = found[first : first + few]
        np.multiply(images[first : first + few], factor, out=result, casting="unsafe")
        if more is not None:
            result += more
    return found


class Normalize(Transform):
    """Subtract means and divide by standard deviations.

    Args:
        mean: one number, or one for each channel.
        std: likewise.

    Dtypes: float32 results.

    Raises:
        ArgumentError: a standard deviation is zero.
        ShapeError: there are other numbers of them than channels.

    >>> import numpy as np
    >>> Normalize([1.0, 2.0], 2.0)(np.ones((1, 2, 1, 1), np.float32)).ravel().tolist()
    [0.0, -0.5]
    """

    @public
    def __init__(self, mean: Any, std: Any) -> None:
        self.mean, self.std = (
            _per_channel(name, value) for name, value in (("mean", mean), ("std", std))
        )
        self.mean, self.std = (
            np.broadcast_arrays(self.mean, self.std)
            if 1 in (self.mean.size, self.std.size)
            else (self.mean, self.std)
        )
        if not self.std.all():
            raise ArgumentError(f"Normalize: std is {std}; expected no zeros")

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        return _each(self._normalised, images)

    def _normalised(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        channels = images.shape[-3] if images.ndim > 3 else 1
        for value in (self.mean, self.std):
            if value.size not in (1, channels):
                raise ShapeError(
                    f"Normalize: {value.size} numbers were given for images of {channels} channels, {images.shape}"
                )
        return self._scaled(images, 1)

    def _scaled(self, images: np.ndarray[Any, Any], white: int) -> np.ndarray[Any, Any]:
        shape = (-1, 1, 1) if images.ndim > 3 else ()
        factor, more = 1 / (white * self.std), -self.mean / self.std
        return _affine(images, factor.reshape(shape), more.reshape(shape))


class _FloatNormalize(Normalize):
    """`ToFloat`, then `Normalize`."""

    def _scaled(self, images: np.ndarray[Any, Any], white: int) -> np.ndarray[Any, Any]:
        if images.dtype.kind not in "iu":
            images = _as_float(images)
        return super()._scaled(images, _white(images))


def _per_channel(name: str, given: Any) -> np.ndarray[Any, Any]:
    plain = (
        all(isinstance(x, (int, float)) for x in given)
        if isinstance(given, (list, tuple))
        else None
    )
    found = np.asarray(given) if plain is not False else np.zeros((), object)
    if found.dtype.kind not in "fiu" or found.ndim > 1 or not np.isfinite(found).all():
        raise ArgumentTypeError(
            f"Normalize: {name} is {shown(given)}; expected a number, or one for each channel"
        )
    return found.astype(np.float32).reshape(-1)


class ColorJitter(Transform):
    """Brightness, contrast and saturation, in this order, by random factors.

    Args:
        brightness: the factors lie from 1 - brightness, or 0, to 1 + brightness.
        contrast: likewise; between the image and its mean grey.
        saturation: likewise; between the image and its grey, for images with three channels.

    Dtypes: that of the images; floats are cut off at 0 and 1.
    """

    is_random = True

    @public
    def __init__(
        self,
        brightness: NotNegative = 0.0,
        contrast: NotNegative = 0.0,
        saturation: NotNegative = 0.0,
    ) -> None:
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        batch = stacked(images, "ColorJitter")
        top = np.iinfo(batch.dtype).max if batch.dtype.kind in "iu" else 1.0
        found = batch.astype(np.float32)
        found = np.clip(found * self._factors(self.brightness, chance, found), 0, top)
        mean = _grey(found).mean(axis=(-2, -1), keepdims=True)
        found = _between(mean, found, self._factors(self.contrast, chance, found), top)
        factors = self._factors(self.saturation, chance, found)
        if found.ndim == 4 and found.shape[1] == 3:
            found = _between(_grey(found), found, factors, top)
        return (
            np.rint(found).astype(batch.dtype)
            if batch.dtype.kind in "iu"
            else found.astype(batch.dtype)
        )

    def _factors(self, spread: float, chance: RowGenerator, like: Any) -> np.ndarray[Any, Any]:
        low = max(0.0, 1.0 - spread)
        found = low + chance.uniform() * (1.0 + spread - low)
        return found.astype(np.float32).reshape(-1, *[1] * (like.ndim - 1))


def _grey(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The brightness of colours, by ITU-R BT.601; other images as they are."""
    if images.ndim < 4 or images.shape[1] != 3:
        return images
    weights = np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)
    return (images * weights).sum(axis=1, keepdims=True)


def _between(one: Any, other: Any, factors: Any, top: float) -> Any:
    return np.clip(one + (other - one) * factors, 0, top)


# --- places ---------------------------------------------------------------------------------------------


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with a probability.

    >>> import numpy as np
    >>> RandomHorizontalFlip(1.0)(np.array([[[1, 2, 3]]])).tolist()
    [[[3, 2, 1]]]
    """

    is_random = True
    _axis = -1

    @public
    def __init__(self, p: Probability = 0.5) -> None:
        self.p = p

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        turned = np.flatnonzero(chance.uniform() < self.p)
        if isinstance(images, list):
            found = list(images)
            for row in turned.tolist():
                found[row] = np.flip(_array(images[row]), self._axis)
            return found
        result = images.copy()
        result[turned] = np.flip(images[turned], self._axis)
        return result


class RandomVerticalFlip(RandomHorizontalFlip):
    """Top and bottom exchanged with a probability."""

    _axis = -2


class CenterCrop(Transform):
    """The middle of the images.

    Args:
        size: height and width, or one number for both.

    Raises:
        ShapeError: an image is smaller.

    >>> import numpy as np
    >>> CenterCrop(1)(np.arange(9).reshape(1, 3, 3)).tolist()
    [[[4]]]
    """

    @public
    def __init__(self, size: Any) -> None:
        self.size = _size("CenterCrop", size)

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        sizes = _sizes(images)
        space = _space(sizes, self.size, "CenterCrop")
        return _cropped(images, np.rint(space / 2).astype(int), self.size)


class RandomCrop(Transform):
    """A random part of each image.

    Args:
        size: height and width, or one number for both.
        padding: how many rows and columns are put around the images before.
        fill: what is put there.

    Raises:
        ShapeError: an image is smaller.
    """

    is_random = True

    @public
    def __init__(self, size: Any, padding: Natural = 0, fill: float = 0) -> None:
        self.size, self.padding, self.fill = _size("RandomCrop", size), padding, fill

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        if self.padding:
            images = _each(self._padded, images)
        space = _space(_sizes(images), self.size, "RandomCrop")
        return _cropped(images, chance.integers(0, space + 1, 2), self.size)

    def _padded(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        width = [(0, 0)] * (images.ndim - 2) + [(self.padding, self.padding)] * 2
        return np.pad(images, width, constant_values=self.fill)


class Resize(Transform):
    """Images of another size, linearly between the pixels.

    Args:
        size: height and width; or one number for the shorter side, and the longer one in proportion.
        antialias: whether each pixel of a smaller image is a mean of all that it covers, as Pillow has it.

    Dtypes: that of the images.

    Source: Pillow's `resize` with `BILINEAR`; PyTorch's `interpolate` with `antialias`, which are alike.

    >>> import numpy as np
    >>> Resize((1, 2))(np.array([[[0.0, 2.0, 4.0, 6.0]]])).round(3).tolist()
    [[[1.429, 4.571]]]
    """

    @public
    def __init__(self, size: Any, antialias: bool = True) -> None:
        whole = _size("Resize", size)
        self.size: Any = int(size) if isinstance(size, (int, np.integer)) else whole
        self.antialias = antialias

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        sizes = _sizes(images)
        boxes = np.concatenate([np.zeros_like(sizes), sizes], axis=1)
        targets = [self._target(*size) for size in sizes.tolist()]
        if isinstance(images, np.ndarray):
            return _resampled(images, (0, 0, *images.shape[-2:]), targets[0], self.antialias)
        return _joined(
            [
                _part(*each, self.antialias)
                for each in zip(images, boxes.tolist(), targets, strict=True)
            ]
        )

    def _target(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image gets."""
        if isinstance(self.size, tuple):
            return self.size
        short = min(height, width)
        return max(1, height * self.size // short), max(1, width * self.size // short)


class Cover(Resize):
    """Images resized to the least size, in their own proportions, that covers a size; then its middle.

    Args:
        size: height and width, or one number for both.

    >>> import numpy as np
    >>> Cover(2)(np.arange(8.0).reshape(1, 2, 4)).tolist()
    [[[1.0, 2.0], [5.0, 6.0]]]
    """

    def __init__(self, size: Any) -> None:
        super().__init__(_size("Cover", size))
        self._crop = CenterCrop(self.size)

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        return self._crop._apply(super()._apply(images, chance), chance)

    def _target(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image gets before it is cut."""
        factor = max(self.size[0] / height, self.size[1] / width)
        return max(self.size[0], round(height * factor)), max(self.size[1], round(width * factor))


class RandomResizedCrop(Transform):
    """A random part of each image, of random size and proportions, brought to one size.

    Args:
        size: height and width, or one number for both.
        scale: the least and the largest share of the image's area.
        ratio: the least and the largest ratio of width to height.

    Source: Szegedy et al., *Going deeper with convolutions* (2014), section 6.
    """

    is_random = True

    @public
    def __init__(
        self, size: Any, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (0.75, 4 / 3),
        antialias: bool = True,
    ) -> None:  # fmt: skip
        self.size, self.scale, self.ratio = _size("RandomResizedCrop", size), scale, ratio
        self.antialias = antialias
        for name, (low, high) in (("scale", scale), ("ratio", ratio)):
            if not 0 < low <= high:
                raise ArgumentError(
                    f"RandomResizedCrop: {name} is {(low, high)}; expected two numbers above 0, the smaller one first"
                )

    def _apply(self, images: Images, chance: RowGenerator) -> Images:
        """The batch, transformed."""
        boxes = self._boxes(_sizes(images), chance).tolist()
        parts = zip(images, boxes, [self.size] * len(boxes), strict=True)
        return _joined([_part(*each, self.antialias) for each in parts])

    def _boxes(self, sizes: np.ndarray[Any, Any], chance: RowGenerator) -> Boxes:
        """The part of each image: the first of ten tries that lies in it, else its middle."""
        area = np.prod(sizes, axis=1, keepdims=True) * _along(chance.uniform(10), self.scale)
        ratio = np.exp(_along(chance.uniform(10), np.log(self.ratio)))
        tries = np.rint(np.sqrt(np.stack([area / ratio, area * ratio]))).astype(int)  # (2, B, 10)
        fits = np.all((tries > 0) & (tries <= sizes.T[:, :, None]), axis=0)
        first = fits.argmax(axis=1)
        chosen = tries[:, np.arange(len(sizes)), first].T
        extent = np.where(fits.any(axis=1, keepdims=True), chosen, self._middle(sizes))
        corner = np.where(
            fits.any(axis=1, keepdims=True),
            chance.integers(0, sizes - extent + 1, 2),
            (sizes - extent) // 2,
        )
        return np.concatenate([corner, extent], axis=1)

    def _middle(self, sizes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        height, width = sizes.T
        ratio = np.clip(width / height, *self.ratio)
        wide = width / height > ratio
        return np.stack(
            [
                np.where(wide, height, np.rint(width / ratio)),
                np.where(wide, np.rint(height * ratio), width),
            ],
            axis=1,
        ).astype(int)


def _along(x: Any, borders: Any) -> Any:
    return borders[0] + x * (borders[1] - borders[0])


# --- what they share ------------------------------------------------------------------------------------


def _size(name: str, given: Any) -> tuple[int, int]:
    found = (given, given) if isinstance(given, (int, np.integer)) else tuple(given) if isinstance(given, (tuple, list)) else ()  # fmt: skip
    if len(found) != 2 or not all(isinstance(x, (int, np.integer)) and x > 0 for x in found):
        raise ArgumentError(f"{name}: size is {shown(given)}; expected a whole number of at least 1, or two, for height and width")  # fmt: skip
    return int(found[0]), int(found[1])


def _is_picture(image: Any) -> bool:
    """Whether it is an image of Pillow, which is cut and resized there."""
    return hasattr(image, "getbands")


def _array(image: Any) -> np.ndarray[Any, Any]:
    """An image as an array, (C, H, W) or (H, W)."""
    if not _is_picture(image):
        return image if isinstance(image, np.ndarray) else np.asarray(image)
    found = np.asarray(image)
    return found.transpose(2, 0, 1) if found.ndim == 3 else found


def _each(function: Callable[[Any], Any], images: Images) -> Images:
    if isinstance(images, list):
        return [function(_array(image)[None])[0] for image in images]
    return function(images)


def _joined(images: list[Any]) -> Images:
    """A list of images as a batch, if they are of one size now."""
    arrays = [_array(image) for image in images]
    if len({array.shape for array in arrays}) > 1:
        return arrays
    if (
        all(map(_is_picture, images)) and arrays[0].ndim == 3
    ):  # their channels come last, and stay there in memory
        return np.stack([array.transpose(1, 2, 0) for array in arrays]).transpose(0, 3, 1, 2)
    return np.stack(arrays)


def stacked(images: Images, name: str) -> np.ndarray[Any, Any]:
    """A list of images of one size as a batch.

    Raises:
        ShapeError: they are not.
    """
    found = _joined(images) if isinstance(images, list) else images
    if isinstance(found, list):
        shapes = sorted({image.shape for image in found})
        raise ShapeError(f"{name}: the images are of different sizes, {shapes[0]} and {shapes[1]}; resize or crop them before")  # fmt: skip
    return found


def _sizes(images: Images) -> np.ndarray[Any, Any]:
    """Heights and widths, (B, 2)."""
    if isinstance(images, np.ndarray):
        return np.tile(np.array(images.shape[-2:]), (len(images), 1))
    return np.array(
        [image.size[::-1] if _is_picture(image) else image.shape[-2:] for image in images]
    )


def _space(sizes: np.ndarray[Any, Any], size: tuple[int, int], name: str) -> np.ndarray[Any, Any]:
    """How many places there are for a part, less one, along each axis."""
    space = sizes - np.array(size)
    if (space < 0).any():
        row = int(np.flatnonzero((space < 0).any(axis=1))[0])
        raise ShapeError(f"{name}: image {row} of the batch is of {tuple(sizes[row].tolist())}, smaller than {size}; resize or pad it before")  # fmt: skip
    return space


def _cropped(
    images: Images, corners: np.ndarray[Any, Any], size: tuple[int, int]
) -> np.ndarray[Any, Any]:
    """A part of one size of each image."""
    if isinstance(images, list):
        parts = zip(map(_array, images), corners.tolist(), strict=True)
        return np.stack(
            [image[..., top : top + size[0], left : left + size[1]] for image, (top, left) in parts]
        )
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(-2, -1))
    rows, (top, left) = np.arange(len(images)), corners.T
    middle = (slice(None),) * (images.ndim - 3)
    return windows[(rows, *middle, top, left)]


def _part(image: Any, box: Sequence[int], size: tuple[int, int], antialias: bool) -> Any:
    """A part of an image, brought to a size."""
    top, left, height, width = box
    if _is_picture(image) and antialias:
        bilinear = 2  # in Pillow's counting
        return image.resize(size[::-1], bilinear, (left, top, left + width, top + height))
    return _resampled(_array(image)[None], box, size, antialias)[0]


def _resampled(
    images: np.ndarray[Any, Any], box: Sequence[int], size: tuple[int, int], antialias: bool
) -> np.ndarray[Any, Any]:
    """The same part of all images, brought to a size: one matrix for each axis."""
    top, left, height, width = box
    part = images[..., top : top + height, left : left + width].astype(np.float32, copy=False)
    rows, columns = _weights(height, size[0], antialias), _weights(width, size[1], antialias)
    found = rows @ (part @ columns.T)
    if images.dtype.kind in "iu":
        limits = np.iinfo(images.dtype)
        return np.clip(np.rint(found), limits.min, limits.max).astype(images.dtype)
    return found.astype(images.dtype)


@functools.lru_cache(256)
def _weights(before: int, after: int, antialias: bool) -> np.ndarray[Any, Any]:
    """What each pixel of the new line takes of the old ones, (after, before)."""
    scale = before / after
    support = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(after)[:, None] + 0.5) * scale
    if not antialias:  # the line goes on at its ends
        centres = np.clip(centres, 0.5, before - 0.5)
    distance = np.abs(np.arange(before) + 0.5 - centres) / support
    found = np.clip(1.0 - distance, 0.0, None)
    return (found / found.sum(axis=1, keepdims=True)).astype(np.float32)
