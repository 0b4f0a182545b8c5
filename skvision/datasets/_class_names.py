"""Names of classes that are written differently but mean the same."""

import re
import unicodedata

# Names of folders that are parts of a dataset: train, test_set, 2_validation, val2017.
_PART = re.compile(
    r"(?:\d+[ _-]*)?(?:(train)(?:ing)?|(test)(?:ing)?|(val)(?:id)?(?:ation)?|(dev)"
    r"|(eval)(?:uation)?|(holdout))[ _-]*(?:set|data|dataset|images|split)?[ _-]*\d*"
)


def normalized(name):
    """Return a name in Unicode's form NFC; macOS may give file names in NFD."""
    return unicodedata.normalize("NFC", name)


def spelling(name):
    """Return a key that is equal for names that differ in spelling only.

    That is in case, in Unicode normalization, and in spaces, hyphens and underscores.
    """
    name = unicodedata.normalize("NFKC", name.strip()).casefold()
    name = re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", name)
    return unicodedata.normalize("NFC", name)


def same_spelling(names):
    """Return the groups of two or more names that differ in spelling only."""
    groups = {}
    for name in sorted(names):
        groups.setdefault(spelling(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def parts_of_a_dataset(names):
    """Return the names that are not classes, such as 'train' and 'test_set'.

    The part for training comes first. A single part beside other names may well be a
    class.
    """
    parts = {name: _PART.fullmatch(name.lower()) for name in names}
    parts = {name: match.groups() for name, match in parts.items() if match}
    is_clear = len(parts) == len(names) or len(set(parts.values())) > 1
    return sorted(parts, key=lambda name: not parts[name][0]) if is_clear else []
