"""Where a training is, on disk: numbers only, replaced in one step."""

import contextlib
import hashlib
import json
import os
import zipfile

import numpy as np

from skvision._files import replacing

FORMAT = 1
_LISTS = ("weights", "optimizer", "best_weights")


class Checkpoint:
    """The state of one training in one file of `folder`.

    The file is named after a digest of all that decides the result (data, parameters,
    seed), so that only the same training takes it up, and several trainings, such as
    the candidates of a search, can share a folder.

    Parameters
    ----------
    folder : str or path
        Made if missing.
    content : iterable of bytes
        What decides the result.
    """

    def __init__(self, folder, content):
        digest = hashlib.blake2b(digest_size=16)
        for part in content:
            digest.update(part)
        self.folder = os.fspath(folder)
        self.path = os.path.join(self.folder, f"{digest.hexdigest()}.npz")

    def write(self, state):
        """Write the fields of a `TrainingState`."""
        os.makedirs(self.folder, exist_ok=True)
        arrays, rest = {}, {"format": FORMAT}
        for name, value in vars(state).items():
            if name in _LISTS:
                rest[name] = None if value is None else len(value)
                arrays |= {f"{name}_{i}": a for i, a in enumerate(value or ())}
            else:
                rest[name] = value
        with replacing(self.path) as file:
            np.savez(file, state=np.array(json.dumps(rest)), **arrays)

    def read(self):
        """Return the fields of the `TrainingState`; empty if there is none."""
        try:
            # NumPy leaves a file open that it opened itself and cannot read.
            with (
                open(self.path, "rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                fields = json.loads(str(arrays["state"]))
                if fields.pop("format") != FORMAT:
                    raise ValueError("it was written in another format")
                for name in _LISTS:
                    if fields[name] is not None:
                        n = fields[name]
                        fields[name] = [arrays[f"{name}_{i}"] for i in range(n)]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"The checkpoint {self.path!r} in 'checkpoint_dir' cannot be read "
                f"({error}). Remove the file to start this training anew."
            ) from error
        if fields["best_score"] is not None:
            fields["best_score"] = tuple(fields["best_score"])
        return fields

    def remove(self):
        """Remove the file: the training is over."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
