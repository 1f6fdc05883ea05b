"""Writing checkpoints so that a crash at any moment leaves a whole file, and reading them without running code."""

from __future__ import annotations

import collections
import logging
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from octosr.errors import TrainingError, WrongWeightsError

log = logging.getLogger(__name__)

_PLAIN = (torch.Tensor, str, bytes, bool, int, float, complex, type(None), torch.Size, torch.dtype, torch.device)
_MAPPINGS = (dict, collections.OrderedDict, collections.Counter)
_STALE_AFTER = 3600.0  # seconds; a temporary file that old belongs to a process that was killed while writing


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; it takes the name ``path`` only when the block ends without an error.

    The content is on the disk before the rename and the rename before the return (fsync of both), so after
    a power failure ``path`` holds either the old content or the new, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and a rename is durable by itself
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files on a local disk, written atomically and read with ``weights_only=True`` only.

    Attributes:
        longest_write: seconds that the slowest write of this process took; the time limit leaves room for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.longest_write = 0.0

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            TypeError: the checkpoint holds an object that could not be read back without running code.
            TrainingError: the disk is full or the folder cannot be written; the file that was there is untouched.
        """
        if storage_options is not None:
            raise TypeError("AtomicCheckpointIO writes to a local disk and takes no storage_options.")
        require_plain(checkpoint)
        target = Path(path)
        _remove_stale(target)
        start = time.monotonic()
        try:
            with atomic_file(target) as handle:
                torch.save(checkpoint, handle)
        except (OSError, RuntimeError) as error:
            cause = _of_the_disk(error)
            if cause is None:
                raise
            raise TrainingError(
                f"The checkpoint {target} cannot be written ({cause.strerror or cause}). What was there before is "
                "untouched. Make room or set output_root to another disk, then start the same command again."
            ) from error
        self.longest_write = max(self.longest_write, time.monotonic() - start)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint; ``weights_only`` is always true, whatever is asked for.

        Raises:
            WrongWeightsError: there is no such file, or it is damaged or not a checkpoint.
        """
        target = Path(path)
        if not target.is_file():
            raise WrongWeightsError(f"There is no checkpoint {target}.")
        try:
            content = torch.load(target, map_location=map_location, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
            raise WrongWeightsError(
                f"The checkpoint {target} cannot be read ({_reason(error)}). It is damaged, or not of this program. "
                "Move it away to start anew, or go on from another one with weights=FILE."
            ) from error
        if not isinstance(content, dict) or "state_dict" not in content:
            raise WrongWeightsError(f"{target} is not a training checkpoint: it has no 'state_dict'.")
        return content


def require_plain(value: Any, where: str = "checkpoint") -> None:
    """Check that a nested value holds only what ``torch.load(weights_only=True)`` reads back.

    Raises:
        TypeError: it holds something else (a Path, a numpy scalar, a config node ...); the message says where.
    """
    if type(value) in _MAPPINGS:
        for key, item in value.items():
            require_plain(key, f"a key of {where}")
            require_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            require_plain(item, f"{where}[{index}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in _PLAIN:
        raise TypeError(
            f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which could not be read back without "
            "running code. Store plain Python values and tensors only."
        )


def _of_the_disk(error: BaseException) -> OSError | None:
    """The disk's error behind another: torch closes its archive after a failed write, and complains of that."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__context__
    return found


def _remove_stale(path: Path) -> None:
    """Remove temporary files of ``path`` that a killed process left long ago."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        try:
            if time.time() - leftover.stat().st_mtime > _STALE_AFTER:
                leftover.unlink()
                log.info("Removed %s, left by a run that was killed while writing.", leftover)
        except FileNotFoundError:  # another process was faster
            continue


def _reason(error: Exception) -> str:
    """One line; torch's own text would advise to read the file with code enabled."""
    if isinstance(error, pickle.UnpicklingError):
        return "it holds objects that need code to be run, or is cut off"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
