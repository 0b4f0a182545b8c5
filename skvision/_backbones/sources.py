"""Where ImageNet weights come from: Keras' cache, packages, downloads."""

import contextlib
import os
import shutil
import time
from pathlib import Path

from skvision._backbones.weights_files import one_line
from skvision._utils.files import replacing
from skvision._utils.http import read_url, retrying
from skvision._utils.warning import warn
from skvision.exceptions import WeightsNotFoundError

_FALLBACK_HOME = Path("/tmp/.keras")  # as in Keras, if the home is not writable
_STALE_AFTER = 3600.0  # seconds
_MAX_BYTES = 2 * 10**9  # the largest file has 1.4 GB


def model_folders():
    """Return the folders to search for weights; the last one is the one to write to.

    The rules are those of Keras (`keras.src.backend.config`, `keras.utils.get_file`),
    except that a home that is not writable is still read.
    """
    home = os.environ.get("KERAS_HOME")
    if home is None:
        user = Path.home()
        home = user / ".keras" if os.access(user, os.W_OK) else _FALLBACK_HOME
    home = Path(os.path.abspath(os.path.expanduser(home)))
    if home.is_dir() and not os.access(home, os.W_OK) and home != _FALLBACK_HOME:
        return [home / "models", _FALLBACK_HOME / "models"]
    return [home / "models"]


def first_of(sources, message):
    """Return what the first source that has the weights returns.

    Parameters
    ----------
    sources : list of (str, callable)
        Labels, and functions that return verified weights.
    message : callable
        Takes lines on what was tried, and returns the message of the error.
    """
    missing, damaged = [], []
    for label, source in sources:
        try:
            weights = source()
        except (FileNotFoundError, NotADirectoryError):
            missing.append(f"{label}: not found")
        except ModuleNotFoundError as error:
            missing.append(f"{label}: {error}")
        # Damaged files raise almost anything.
        except Exception as error:
            damaged.append(f"{label}: {one_line(error)}")
        else:
            _warn_about_damaged(damaged)
            return weights
    raise WeightsNotFoundError(message(missing + damaged))


def _warn_about_damaged(damaged):
    """Warn about sources that were found but could not be used."""
    if damaged:
        warn(
            "Skipped for weights='imagenet': " + "; ".join(damaged) + ". The "
            "weights came from another source; delete the damaged file.",
        )


def fetch(url):
    """Return the content of a file, with a progress bar, as it takes long."""

    def attempt():
        return read_url(url, max_bytes=_MAX_BYTES, label="weights")

    return retrying(attempt, url, n_retries=1, delay=1.0)


def write_to_cache(content, target):
    """Write a file to the cache; a full disk or read-only folder is not an error."""
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as stream:
            stream.write(content)


def remove_stale_files(folder, prefix):
    """Remove temporary files of processes that were killed over an hour ago.

    Their names start with a dot and `prefix`, as `replacing` chooses them.
    """
    for path in folder.glob(f".{prefix}*.tmp"):
        with contextlib.suppress(OSError):  # another process may remove it
            # A slow download modifies its file, not the folder that contains it.
            newest = max(p.stat().st_mtime for p in (path, *path.rglob("*")))
            if time.time() - newest < _STALE_AFTER:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
