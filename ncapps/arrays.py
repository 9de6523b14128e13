"""The edge: any array-like comes in and is checked here; results leave in the caller's own kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ncapps.errors import InputError, InputTypeError

if TYPE_CHECKING:
    import torch

    ArrayLike: TypeAlias = np.ndarray | torch.Tensor | list | tuple
else:
    ArrayLike: TypeAlias = Any

Label: TypeAlias = str | int


def to_numpy(values: Any) -> np.ndarray:
    """Return any array-like as a numpy array, without copying where the memory can be shared."""
    if hasattr(values, "detach"):
        values = values.detach()
        if str(values.dtype) in ("torch.bfloat16", "torch.float16"):
            values = values.float()
        return values.cpu().numpy()
    return np.asarray(values)


def like(result: np.ndarray, example: Any) -> Any:
    """Return `result` as the kind of array that `example` is: a tensor on its device, or a numpy array."""
    if not hasattr(example, "detach"):
        return result
    import torch

    if example.device.type == "mps" and result.dtype == np.float64:
        result = result.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(result)).to(example.device)


def as_features(
    values: Any, width: int | None = None, fitted_on: str = "", *, min_rows: int = 0, keep_float32: bool = False
) -> np.ndarray:
    """Return features as a finite float64 matrix (images, feature width), or say what is wrong with them.

    Parameters
    ----------
    values : array-like
        Features, shape (images, feature width).
    width : int, optional
        The feature width that is expected.
    fitted_on : str
        Who expects that width, for the error's text.
    min_rows : int
        The fewest rows that make sense.
    keep_float32 : bool
        Leave float32 as it is: for callers that convert chunk by chunk.

    Raises
    ------
    InputError
        If the shape, the width or a value is not what it has to be.
    """
    matrix = as_matrix(values)
    if width is not None and matrix.shape[1] != width:
        raise InputError(
            f"X has {matrix.shape[1]} features, but {fitted_on or 'this object'} is expecting {width} features as "
            "input; were they extracted with another backbone?"
        )
    if matrix.shape[0] < min_rows:
        raise InputError(f"{min_rows} image(s) or more are needed, but {matrix.shape[0]} came")
    if not (keep_float32 and matrix.dtype == np.float32):
        matrix = matrix.astype(np.float64, copy=False)
    check_finite(matrix)
    return matrix


def as_matrix(values: Any) -> np.ndarray:
    """Return features as a matrix of real numbers in their own type, its values unchecked.

    Raises
    ------
    InputError
        If there are not two dimensions, no columns, or no real numbers.
    """
    if hasattr(values, "toarray"):
        raise InputTypeError("features came as a sparse matrix, which is not supported; make it dense with .toarray()")
    matrix = to_numpy(values)
    if matrix.ndim != 2:
        one = "; one image is features[None, :] (Reshape your data)"
        hint = one if matrix.ndim == 1 else "; pool or flatten the maps first"
        raise InputError(
            f"features must be a matrix (images, feature width), but have {matrix.ndim} dimensions, "
            f"shape {tuple(matrix.shape)}{hint}"
        )
    if matrix.dtype == object:
        matrix = _numbers(matrix)
    if not np.issubdtype(matrix.dtype, np.number) or np.iscomplexobj(matrix):
        hint = "; Complex data not supported" if np.iscomplexobj(matrix) else ""
        raise InputError(f"features must be real numbers, but have the type {matrix.dtype}{hint}")
    if matrix.shape[1] == 0:
        raise InputError(
            f"features have no columns: 0 feature(s) (shape={tuple(matrix.shape)}) while a minimum of 1 is required."
        )
    return matrix


def _numbers(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix of Python objects as float64."""
    try:
        return np.array([float(value) for value in matrix.flat]).reshape(matrix.shape)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"features must be real numbers, but have the type object: {error}") from None


def check_finite(matrix: np.ndarray) -> None:
    """Raise an InputError that names the first row holding NaN or infinity."""
    # A sum is finite only if every term is: one cheap pass decides the common case.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum(dtype=np.float64)):
            return
    bad = ~np.isfinite(matrix).all(axis=1)
    if bad.any():
        raise InputError(
            f"features hold NaN or infinity in {int(bad.sum())} of {len(matrix)} rows, the first is row "
            f"{int(np.flatnonzero(bad)[0])}; did the network overflow in half precision?"
        )


def as_labels(labels: Any, rows: int | None = None) -> np.ndarray:
    """Return labels as a one-dimensional array of str or of int, never of both.

    Raises
    ------
    InputError
        If the labels are of mixed type, fractional, missing, or of another number than the rows.
    """
    array = _label_array(labels)
    if array.ndim != 1:
        raise InputError(f"labels must be one-dimensional, one label an image, but have the shape {array.shape}")
    if rows is not None and len(array) != rows:
        raise InputError(f"{rows} images came with {len(array)} labels; one label an image is expected")
    return array


def _label_array(labels: Any) -> np.ndarray:
    if labels is None or isinstance(labels, (str, bytes, int, float)):
        raise InputError(f"labels must be a list, one label an image, but {labels!r} came (y should be a 1d array)")
    if hasattr(labels, "__array__"):
        array = to_numpy(labels)
        if array.dtype != object:
            return _plain(array)
        labels = array.tolist()
    labels = [label.item() if getattr(label, "ndim", None) == 0 else label for label in labels]
    kinds = {_kind(label) for label in labels}
    if len(kinds) > 1:
        raise InputError(
            f"labels are of mixed type ({' and '.join(sorted(kinds))}); name all classes by strings, or all by integers"
        )
    if kinds - {"str", "int"}:
        raise InputError(
            f"labels must be strings or integers, one an image, but hold {kinds.pop()}; is a label missing or nested?"
        )
    return _plain(np.asarray(labels)) if labels else np.zeros(0, np.int64)


def _plain(array: np.ndarray) -> np.ndarray:
    """Return labels as int64 or as strings; anything else is refused."""
    if array.dtype.kind == "f":
        if not np.array_equal(array, np.round(array)) or not np.isfinite(array).all():
            raise InputError(
                "labels are fractional numbers (Unknown label type: continuous); classes are names or integers"
            )
    elif array.dtype.kind not in "biuUT" and array.dtype != object:
        raise InputError(f"labels must be strings or integers, but have the type {array.dtype}")
    if array.dtype.kind in "UT":
        return array.astype(np.str_)
    if array.dtype.kind in "fuO" and array.size and max(abs(array.min()), array.max()) >= 2**63:
        raise InputError("integer labels must fit 64 bits; name such classes by strings")
    return array.astype(np.int64)


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "str"
    if isinstance(label, (int, float)):
        return "int"
    return type(label).__name__


def native(label: Any) -> Label:
    """Return one label as a plain Python str or int."""
    if isinstance(label, (str, np.str_)):
        return str(label)
    if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        if not -(2**63) <= label < 2**63:
            raise InputError("integer labels must fit 64 bits; name such classes by strings")
        return int(label)
    raise InputError(f"a class is named by a string or an integer, but {label!r} ({type(label).__name__}) came")


def sorted_names(*groups: Any) -> tuple[Label, ...]:
    """Return the union of the class names in sorted order; all str or all int.

    Raises
    ------
    InputError
        If strings and integers meet.
    """
    plain = [group.tolist() if isinstance(group, np.ndarray) else list(group) for group in groups]
    kinds = {type(name) for group in plain for name in group}
    names = set().union(*plain) if kinds in ({str}, {int}) else {native(name) for group in plain for name in group}
    if len({type(name) for name in names}) > 1:
        raise InputError("class names are of mixed type (int and str); name all classes by strings, or all by integers")
    return tuple(sorted(names))


def unknown_class(name: Any, classes: Iterable[Label]) -> InputError:
    """Return the error that names an unknown class and, up to eight of them, the known ones."""
    known = list(classes)
    listed = ", ".join(repr(native(one)) for one in known[:8]) + (", ..." if len(known) > 8 else "")
    return InputError(f"class {name!r} is not known; the classes are {listed or 'none yet'}")
