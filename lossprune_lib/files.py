"""Files that are complete or absent: replaced atomically; tensors in safetensors, sealed by a hash, never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lossprune_lib.checks import check_instance, check_path, check_stored
from lossprune_lib.installation import DATA

# The name, in the metadata, of a hash of everything else in the file: safetensors itself detects no damaged numbers.
_SEAL = "sha256"


def replace(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then put it in place in one atomic step.

    Raises
    ------
    OSError
        if the file cannot be written; the message says what to do. What was there before is then untouched.
    """
    path = check_path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        why = error.strerror or error
        raise type(error)(f"{path} cannot be written ({why}): check its folder, and who may write there.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files for their owner only; a result should be as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write named tensors and notes about them to a safetensors file, atomically."""
    for note in (*metadata, *metadata.values()):
        check_instance(note, str, "A note in a file", "write it in quotes")
    if _SEAL in metadata:
        raise ValueError(f"{_SEAL!r} is the name of the file's own hash: give your note another name.")
    for name, tensor in tensors.items():
        check_stored(tensor, f"The tensor {name!r}")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = {**metadata, _SEAL: fingerprint(contiguous, metadata)}
    return replace(path, lambda temporary: save_file(contiguous, str(temporary), sealed))


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `save_tensors` wrote, on the CPU.

    Raises
    ------
    FileNotFoundError
        if there is no such file.
    ValueError
        if the file is truncated, changed since it was saved (if it has a seal), or not a safetensors file.
    """
    path = check_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}: check the path.")
    try:
        with safe_open(str(path), framework="pt") as opened:
            names = opened.keys()  # an opened file is not a mapping: it cannot be iterated over
            tensors = {name: opened.get_tensor(name).clone() for name in names}  # else they are the file itself
            metadata = dict(opened.metadata() or {})
        seal = metadata.pop(_SEAL, None)
        if seal is not None and seal != fingerprint(tensors, metadata):
            raise ValueError("its contents are not what was saved")
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file ({error}): copy it again.") from error
    return tensors, metadata


def fingerprint(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> str:
    """Return a hash of the names, dtypes, shapes and numbers of contiguous tensors on the CPU, and of the metadata."""
    kinds = {name: [str(tensor.dtype), *tensor.shape] for name, tensor in tensors.items()}
    seal = hashlib.sha256(json.dumps([kinds, metadata or {}], sort_keys=True).encode())
    for name in sorted(tensors):
        seal.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return seal.hexdigest()


def shipped(path: str) -> Path:
    """Return the path to a file that comes with the project, such as ``shipped("checkpoints")``.

    Raises
    ------
    FileNotFoundError
        if it is not there.
    """
    if not (DATA / check_path(path)).exists():
        raise FileNotFoundError(
            f"{DATA / path} is not there: check the name, or install the library again, as the README says."
        )
    return DATA / path
