"""Files that one stage writes and others read, checked once, when they are read.

Whatever a decoder raises is damage, and what is accepted has the keys, types and shapes that are
asked for: nothing is decoded that cannot be whole.
"""

import math
import sys
import zipfile
from collections.abc import Callable, Collection, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ArtifactError
from pipeline.files import corruption_as, missing_artifact, read_bytes

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value")
Arrays = dict[str, NDArray[Any]]
Form = tuple[str, tuple[int | str, ...]]
"""The name or kind of a dtype, and a shape. Sizes of the same letter are the same in all arrays."""


def read_record(
    path: Path,
    kind: type[Value],
    describe: Callable[[str], ArtifactError],
    *,
    extra: Literal["forbid", "ignore"] = "forbid",
) -> Value:
    """Read a JSON file as a dataclass, with exactly the types of its fields.

    Args:
        path: of the file.
        kind: the dataclass.
        describe: from what is wrong to the error.
        extra: what to do with further keys.

    Raises:
        ArtifactError: the file is missing, or no such JSON.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise missing_artifact(path) from None
    try:
        return TypeAdapter(kind).validate_json(content, strict=True, extra=extra)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "the whole"
        raise describe(f"{place} is wrong ({problem['msg']})") from None


def read_arrays(file: IO[bytes] | bytes, names: Collection[str] | None = None) -> Arrays:
    """Read an npz that `numpy.savez` wrote, without pickles.

    No array is given room before its header is known to fit the length of the file.

    Args:
        file: the npz, or its bytes.
        names: of the arrays to read; None: all, in their order.

    Raises:
        Exception: of any kind, where the file is damaged. To be called in `files.corruption_as`.
    """
    if isinstance(file, bytes):
        file = BytesIO(file)
    length = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {
            name: _read_array(archive, members[name], length)
            for name in (members if names is None else names)
        }


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, length: int) -> NDArray[Any]:
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{info.filename} is of another version")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        needed = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or needed != info.file_size or needed > length:
        raise ValueError(f"{info.filename} has another length than its header tells")
    with archive.open(info) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    is_text = array.dtype.kind == "U" and array.nbytes
    if is_text and array.reshape(-1).view(np.uint32).max() > sys.maxunicode:
        raise ValueError(f"{info.filename} holds what is no character")
    return array


def check_arrays(
    arrays: Mapping[str, NDArray[Any]],
    forms: Mapping[str, Form],
    optional: Mapping[str, Form] = MappingProxyType({}),
) -> None:
    """Check types and shapes.

    Args:
        arrays: by name.
        forms: of those that must be there.
        optional: of those that may be.

    Raises:
        ValueError: naming the first array that is missing or of another form.
    """
    sizes: dict[str, int] = {}
    for name, (dtype, shape) in {**forms, **optional}.items():
        if name not in arrays:
            if name in optional:
                continue
            raise ValueError(f"{name} is missing")
        array = arrays[name]
        fits = dtype in (array.dtype.name, array.dtype.kind) and array.ndim == len(shape)
        if not fits or any(
            size != (sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted)
            for wanted, size in zip(shape, array.shape, strict=True)
        ):
            raise ValueError(f"{name} is {array.dtype} {array.shape}")


def read_table(path: Path, columns: Collection[str] = (), **options: Any) -> "pd.DataFrame":
    """Read a CSV that a stage wrote, with `pandas.read_csv`.

    Args:
        path: of the file.
        columns: that it must have.
        options: for pandas.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    import pandas as pd

    def describe(reason: str) -> ArtifactError:
        return ArtifactError(
            f"{path} is damaged: expected the table that a stage writes, but {reason}. Delete it "
            "and run: dvc repro"
        )

    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise missing_artifact(path) from None
    with corruption_as(describe):
        table = pd.read_csv(BytesIO(content), **options)
    if absent := [name for name in columns if name not in table]:
        raise describe(f"{', '.join(absent)} is missing")
    return table
