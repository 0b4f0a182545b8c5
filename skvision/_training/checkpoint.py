"""The state of a training on disk: arrays and numbers, replaced atomically."""

import contextlib
import glob
import hashlib
import io
import json
import os

import numpy as np

from skvision._utils.files import expand_path, replacing
from skvision._utils.warning import warn

# A file is this line, a digest of the rest, and the rest: arrays as `numpy.savez`
# writes them. ZIP files have checksums, but NumPy does not always read to where they
# are compared, and the headers have none.
_HEADER = b"skvision checkpoint 2\n"
_DIGEST_SIZE = 32
_LISTS = ("weights", "latest_weights", "optimizer", "best_weights")


class Checkpoint:
    """The state of one training in one file of `folder`.

    The file name is a digest of everything that determines the result (data,
    parameters, seed). So only the same training continues from it, and several
    trainings, such as the candidates of a search, can share a folder.

    Parameters
    ----------
    folder : str or path
        Created if missing.
    content : iterable of bytes
        Everything that determines the result.
    """

    def __init__(self, folder, content):
        digest = hashlib.blake2b(digest_size=16)
        for part in content:
            digest.update(part)
        expanded = expand_path(folder, "checkpoint_dir")
        self.folder = os.path.abspath(expanded)  # a callback may change directory
        self.path = os.path.join(self.folder, f"{digest.hexdigest()}.checkpoint")
        self._warned = False
        try:
            if not expanded:
                raise ValueError("it is empty; '.' is the current folder")
            os.makedirs(self.folder, exist_ok=True)
        except (OSError, ValueError) as error:
            raise ValueError(
                "The 'checkpoint_dir' parameter must be a folder, or a path where one "
                f"can be created. Got {os.fspath(folder)!r}: {error}. Choose another."
            ) from error

    def write(self, state):
        """Write the fields of a `TrainingState`; warn once if that fails."""
        arrays, rest = {}, {}
        for name, value in vars(state).items():
            if name in _LISTS:
                rest[name] = None if value is None else len(value)
                arrays |= {f"{name}_{i}": a for i, a in enumerate(value or ())}
            else:
                rest[name] = value
        content = io.BytesIO()
        np.savez(content, state=np.array(json.dumps(rest)), **arrays)
        content = content.getbuffer()
        with self._one_warning("written: {}. Training continues without it."):
            with replacing(self.path) as file:
                for part in (_HEADER, _digest(content), content):
                    file.write(part)

    def read(self):
        """Return the fields of the `TrainingState`; empty if there is no file."""
        try:
            with open(self.path, "rb") as file:
                fields = _parse(file.read())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ValueError(
                f"The checkpoint {self.path!r} in 'checkpoint_dir' cannot be read "
                f"({error}). Remove the file to restart this training, or choose "
                "another folder."
            ) from error
        if fields["best_score"] is not None:
            fields["best_score"] = tuple(fields["best_score"])
        return fields

    def remove(self):
        """Remove the file, and temporary files that a killed process left."""
        name = glob.escape(os.path.basename(self.path))
        leftovers = glob.glob(f".{name}.*", root_dir=self.folder)
        with self._one_warning("removed: {}."):
            for name in [self.path, *leftovers]:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.folder, name))

    @contextlib.contextmanager
    def _one_warning(self, problem):
        """Turn the first OSError into a warning, and ignore later ones."""
        try:
            yield
        except OSError as error:
            if not self._warned:
                self._warned = True
                problem = problem.format(error)
                warn(f"The checkpoint {self.path!r} cannot be {problem}")


def _parse(data):
    """Return the fields in the content of a file, or raise a ValueError."""
    start = len(_HEADER)
    content = memoryview(data)[start + _DIGEST_SIZE :]
    if not data.startswith(_HEADER):
        raise ValueError("it is not a checkpoint of this version")
    if data[start : start + _DIGEST_SIZE] != _digest(content):
        raise ValueError("it is damaged: its content does not match its digest")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        fields = json.loads(str(arrays["state"]))
        for name in _LISTS:
            if (n := fields[name]) is not None:
                fields[name] = [arrays[f"{name}_{i}"] for i in range(n)]
    return fields


def _digest(content):
    return hashlib.blake2b(content, digest_size=_DIGEST_SIZE).digest()
