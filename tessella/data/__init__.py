"""Data on its way to a training step: datasets, samplers, loaders."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from tessella.data.arrays import IDXDataset, NumPyDataset, read_idx
from tessella.data.collation import default_collate, default_convert, pad_collate
from tessella.data.datasets import (
    ArrayDataset,
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    TransformedDataset,
    random_split,
)
from tessella.data.encoding import TableEncoder
from tessella.data.images import ImageFolder
from tessella.data.loader import DataLoader
from tessella.data.pictures import save_image
from tessella.data.samplers import (
    BatchSampler,
    LengthBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tessella.data.seeds import RowGenerator
from tessella.data.tables import CSV, JSONLines, TextLines
from tessella.data.texts import PadTruncate, Vocabulary, characters, words
from tessella.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Cover,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    ToFloat,
)
from tessella.data.workers import get_worker_info
from tessella.names import missing as _missing

if not _TYPE_CHECKING:  # for which it would mean that all names are there

    def __getattr__(name: str) -> _NoReturn:
        """The error says what other libraries mean by this name, or which name is near it."""
        raise _missing("data", name)


__all__ = [
    "CSV",
    "ArrayDataset",
    "BatchSampler",
    "CenterCrop",
    "ChainDataset",
    "ColorJitter",
    "Compose",
    "ConcatDataset",
    "Cover",
    "DataLoader",
    "Dataset",
    "IDXDataset",
    "ImageFolder",
    "IterableDataset",
    "JSONLines",
    "LengthBatchSampler",
    "Normalize",
    "NumPyDataset",
    "PadTruncate",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomSampler",
    "RandomVerticalFlip",
    "Resize",
    "RowGenerator",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "StratifiedSampler",
    "Subset",
    "SubsetRandomSampler",
    "TableEncoder",
    "TensorDataset",
    "TextLines",
    "ToFloat",
    "TransformedDataset",
    "Vocabulary",
    "WeightedRandomSampler",
    "characters",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "pad_collate",
    "random_split",
    "read_idx",
    "save_image",
    "words",
]
