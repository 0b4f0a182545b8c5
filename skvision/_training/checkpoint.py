"""The state of a training on disk: arrays and numbers, replaced atomically."""

import contextlib
import glob
import hashlib
import json
import os
import zipfile

import numpy as np

from skvision._utils.files import replacing
from skvision._utils.warning import warn

FORMAT = 1
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
        self.folder = os.path.expanduser(os.fspath(folder))
        self.path = os.path.join(self.folder, f"{digest.hexdigest()}.npz")
        self._warned = False
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise ValueError(
                "The 'checkpoint_dir' parameter must be a folder, or a path where one "
                f"can be created. Got {folder!r}: {error}."
            ) from error

    def write(self, state):
        """Write the fields of a `TrainingState`; warn once if that fails."""
        arrays, rest = {}, {"format": FORMAT}
        for name, value in vars(state).items():
            if name in _LISTS:
                rest[name] = None if value is None else len(value)
                arrays |= {f"{name}_{i}": a for i, a in enumerate(value or ())}
            else:
                rest[name] = value
        try:
            with replacing(self.path) as file:
                np.savez(file, state=np.array(json.dumps(rest)), **arrays)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warn(
                    f"The checkpoint {self.path!r} cannot be written: {error}. "
                    "Training continues without it.",
                )

    def read(self):
        """Return the fields of the `TrainingState`; empty if there is no file."""
        try:
            # `np.load` does not close a file that it cannot read, if given a path.
            with (
                open(self.path, "rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                fields = json.loads(str(arrays["state"]))
                if fields.pop("format") != FORMAT:
                    raise ValueError("the file has another format version")
                for name in _LISTS:
                    if fields[name] is not None:
                        n = fields[name]
                        fields[name] = [arrays[f"{name}_{i}"] for i in range(n)]
        except FileNotFoundError:
            return {}
        # Damage to a ZIP file can raise any of these.
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
        ) as error:
            raise ValueError(
                f"The checkpoint {self.path!r} in 'checkpoint_dir' cannot be read "
                f"({error}). Remove the file to restart this training."
            ) from error
        if fields["best_score"] is not None:
            fields["best_score"] = tuple(fields["best_score"])
        return fields

    def remove(self):
        """Remove the file, and temporary files that a killed process left."""
        leftovers = glob.glob(f".{os.path.basename(self.path)}.*", root_dir=self.folder)
        for name in [self.path, *leftovers]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))
