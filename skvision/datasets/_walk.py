"""Finding image files in folders, and counting what is passed over."""

import os
import re
from fnmatch import translate

from skvision._utils.warning import warn

#: Names of files and folders that operating systems and network storage create, as
#: patterns of :mod:`fnmatch`, compared case-insensitively. Names that start with a dot,
#: such as .DS_Store, are left out in any case.
SYSTEM_NAMES = (
    # Synology: thumbnails, recycle bin, snapshots.
    *("@eaDir", "#recycle", "#snapshot", "@tmp", "@sharebin", "@appstore"),
    *("*@SynoEAStream", "*@SynoResource"),
    # QNAP, NetApp.
    *("@Recycle", "@Recently-Snapshot", "@__thumb", "~snapshot"),
    # Windows.
    *("$RECYCLE.BIN", "System Volume Information", "found.[0-9][0-9][0-9]"),
    *("Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    # macOS, and zip files from there.
    *("__MACOSX", "Network Trash Folder", "Temporary Items", "Icon\r"),
    # Linux.
    *("lost+found", "aquota.user", "aquota.group", ".Trash", ".Trash-*"),
    "LOST.DIR",  # Android
)

_IS_SYSTEM = re.compile("|".join(translate(n.lower()) for n in SYSTEM_NAMES)).fullmatch


def find_images(folder, suffixes, passed_over, ancestors=None, seen=None):
    """Return the paths of images relative to `folder`, sorted by their components.

    Links are followed, but no folder is visited twice.

    Parameters
    ----------
    folder : str
        Where to search, with all folders below.
    suffixes : tuple of str or None
        File name extensions in lower case; None accepts every file.
    passed_over : Counter
        Counts what is left out, by reason.
    ancestors : set of str, default=None
        Folders that links must not lead back to. None means those above `folder`.
    seen : set of str, default=None
        Folders that were visited before, to which those of this search are added.
    """
    found, pending = [], [""]
    ancestors = set(folders_above(folder) if ancestors is None else ancestors)
    seen = set() if seen is None else seen
    while pending:
        below = pending.pop()
        path = os.path.join(folder, below) if below else folder
        real = os.path.realpath(path)
        if real in seen or real in ancestors:
            passed_over["links to folders listed elsewhere"] += 1
            continue
        seen.add(real)
        folders = []
        for name, is_folder in visible_entries(path, passed_over):
            if is_folder:
                folders.append(os.path.join(below, name))
            elif is_image(name, suffixes):
                found.append(os.path.join(below, name))
            else:
                passed_over[f"extension {extension(name)}"] += 1
        pending += reversed(folders)
    return sorted(found, key=lambda path: path.split(os.sep))


def folders_above(folder):
    """Return the real paths of all folders above `folder`."""
    above, folder = [], os.path.realpath(folder)
    while os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        above.append(folder)
    return above


def visible_entries(folder, passed_over):
    """Return (name, whether it is a folder), sorted by name.

    Hidden entries and those of the system are counted in `passed_over` instead.
    """
    try:
        with os.scandir(folder) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Cannot open the folder {folder!r} ({error.strerror}). Give yourself the "
            "permission to read it, or move it elsewhere",
        ) from error
    visible = []
    for entry in entries:
        if _IS_SYSTEM(entry.name.lower()):
            _count_system_entry(entry, passed_over)
        elif entry.name.startswith("."):
            passed_over["hidden (the name starts with a dot)"] += 1
        else:
            visible.append((entry.name, _is_folder(entry)))
    return visible


def is_hidden_or_of_system(name):
    """Return whether files and folders of this name are left out."""
    return name.startswith(".") or bool(_IS_SYSTEM(name.lower()))


def check_extensions(extensions):
    """Return the extensions as a tuple in lower case, or None."""
    if extensions is None:
        return None
    suffixes = tuple(extensions) if isinstance(extensions, list | tuple | set) else ()
    if not suffixes or not all(str(suffix).startswith(".") for suffix in suffixes):
        raise ValueError(
            "extensions must be None or a non-empty list or tuple of file name "
            "extensions that start with a dot, such as ('.jpg', '.png'); got "
            f"{extensions!r}."
        )
    return tuple(str(suffix).lower() for suffix in suffixes)


def is_image(name, suffixes):
    """Return whether a file name has one of the extensions."""
    return suffixes is None or name.lower().endswith(suffixes)


def extension(name):
    """Return the extension of a file name, as `passed_over` counts it."""
    return repr(os.path.splitext(name)[1].lower()) if "." in name else "missing"


def _is_folder(entry):
    # `DirEntry.is_dir` raises an OSError for a link to itself.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _count_system_entry(entry, passed_over):
    """Count it, and warn if it is a folder that cannot be opened."""
    try:
        if _is_folder(entry):
            os.scandir(entry.path).close()
    except OSError as error:
        passed_over["system folders that cannot be opened"] += 1
        warn(
            f"Left out {entry.path!r}, a folder of the system that cannot be opened "
            f"({error.strerror})."
        )
    else:
        passed_over[f"of the system: {entry.name!r}"] += 1
