"""The study's images from Kaggle, through kagglehub (extra ``kaggle``); every failure with its remedy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octosr.catalog import KAGGLE, KAGGLE_URL
from octosr.errors import DownloadError
from octosr.typed import typed

CACHE_VARIABLE = "KAGGLEHUB_CACHE"
KEY_HELP = (
    "A key is made at https://www.kaggle.com/settings under API; put its file at ~/.kaggle/kaggle.json (or set "
    "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY)"
)


def fetch(cache: Path, handle: str = KAGGLE) -> Path:
    """The folder with the unpacked dataset; what is in the cache already is not fetched again.

    kagglehub keeps what came of a broken download and goes on from there, and compares the hash that the server states.

    Args:
        cache: folder for kagglehub's cache: our own, on the disk where the images shall lie, so that they can be moved.
        handle: OWNER/DATASET at Kaggle.

    Returns:
        A folder below ``cache``; in a notebook at Kaggle, the folder that is mounted there.

    Raises:
        DownloadError: kagglehub is not installed, no network, no right, not found, broken off, wrong hash, or no room.
    """
    if importlib.util.find_spec("kagglehub") is None:
        raise DownloadError(_message("The package kagglehub is not installed: pip install 'octosr[kaggle]'"))
    import kagglehub
    import requests
    from kagglehub.exceptions import BackendError, CredentialError, DataCorruptionError, UnauthenticatedError

    try:
        with _cache(cache):
            return Path(kagglehub.dataset_download(handle))
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise DownloadError(_message(_refused(handle, status, error))) from error
    except (UnauthenticatedError, CredentialError) as error:
        raise DownloadError(_message(f"Kaggle wants to know who asks ({error}). {KEY_HELP}")) from error
    except DataCorruptionError as error:
        what = f"What came of {handle} has another hash than the server states; it was removed"
        raise DownloadError(_message(f"{what}. Run the same line again")) from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ReadTimeout) as error:
        what = f"The connection broke off ({_short(error)})"
        raise DownloadError(_message(f"{what}. Run the same line again: what has come is kept")) from error
    except requests.ConnectionError as error:
        # A download that stalls is one as well; requests says so in no other way.
        what = f"Kaggle cannot be reached, or stopped answering ({_short(error)})"
        raise DownloadError(_message(f"{what}. Run the same line again where there is a network")) from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DownloadError(
            _message(f"Kaggle's archive cannot be unpacked ({error}). Run the same line again")
        ) from error
    except (BackendError, ValueError, requests.RequestException) as error:  # ValueError: a damaged kaggle.json
        raise DownloadError(_message(f"kagglehub gave up: {_short(error)}")) from error
    except OSError as error:
        place = next(folder for folder in cache.absolute().parents if folder.is_dir())
        free = shutil.disk_usage(place).free / 2**30
        what = f"kagglehub could not write to {cache} ({error}; {free:.3g} GiB free)"
        raise DownloadError(_message(f"{what}. Make room, or choose another data.root")) from error


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """kagglehub's cache in this folder; it takes it from the environment at every call."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder.absolute())
    try:
        yield
    finally:
        del os.environ[CACHE_VARIABLE]
        if before is not None:
            os.environ[CACHE_VARIABLE] = before


def _refused(handle: str, status: int, error: Exception) -> str:
    if status in (401, 403):
        from kagglehub.config import get_kaggle_credentials

        known = "the key that was found is not accepted" if get_kaggle_credentials() else "no key was found"
        return f"Kaggle refused {handle} (HTTP {status}): {known}. {KEY_HELP}"
    if status == 404:
        return f"Kaggle has no dataset {handle} any more (HTTP 404), or it is not public"
    if status == 429:
        return "Kaggle asks to wait (HTTP 429): too many requests. Run the same line again later"
    if status >= 500:
        return f"Kaggle is out of order (HTTP {status}). Run the same line again later"
    return f"Kaggle answered {_short(error)}"


def _message(what: str) -> str:
    return (
        f"{what}.\nWithout kagglehub: download {KAGGLE_URL} in a browser, and\n"
        f"  {typed('prepare')} dataset=all from=archive.zip   (or the folder it was unpacked to)\n"
        f"To try every command without the study's images: {typed('prepare')} dataset=all source=standin"
    )


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
