"""Where ImageNet weights come from: Keras' cache, packages, downloads."""

import contextlib
import hashlib
import os
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


def first_of(sources, name, remedy):
    """Return what the first source that has the weights returns.

    Parameters
    ----------
    sources : list of (str, callable)
        Labels, and functions that return verified weights.
    name : str
        Name of the network, for the error that none has them.
    remedy : str
        What to do then.
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
    tried = [f"- {line}" for line in missing + damaged]
    heading = (
        f"weights='imagenet': no source has the ImageNet weights of {name}. Tried:"
    )
    raise WeightsNotFoundError("\n".join([heading, *tried, f"To fix this: {remedy}"]))


def _warn_about_damaged(damaged):
    """Warn about sources that were found but could not be used."""
    if damaged:
        warn(
            "Skipped for weights='imagenet': " + "; ".join(damaged) + ". The "
            "weights came from another source; delete the damaged file.",
        )


def check_digest(content, expected):
    """Return the content of a file if it has this MD5 or SHA-256, in hexadecimal."""
    algorithm = "md5" if len(expected) == 32 else "sha256"
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(
            f"incomplete or damaged: {len(content)} bytes with the "
            f"{algorithm.upper()} {found} instead of {expected}; nothing was read "
            "from it"
        )
    return content


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
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                path.unlink()
