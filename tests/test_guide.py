"""Pages of the documentation: length, links between them, and plain terms."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Not pages that Sphinx generates.
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    if not {"_build", "generated"} & set(path.relative_to(ROOT).parts)
)
# Notes and changes describe the past.
CURRENT = [p for p in PAGES if p.parent.name != "notes" and p.name != "CHANGES.md"]
MAX_LINES = 300
# Metaphors of early drafts, and what native speakers of the field call otherwise.
FORBIDDEN = {
    "anew": "again",
    "door": "module, entry point",
    "doors": "modules, entry points",
    "dwell": "stay",
    "faithful": "equal, exact",
    "hearth": "",
    "in the place of": "instead of",
    "mend": "fix",
    "mended": "fixed",
    "mends": "fixes",
    "oracle": "reference",
    "paid for once": "computed once",
    "picture set": "dataset",
    "riddle": "",
    "road": "approach",
    "roads": "approaches",
    "room of its own": "package",
    "the post": "Chollet (2016)",
    "the seed's": "",
}


def name(path):
    return path.relative_to(ROOT).as_posix()


def prose(path):
    """Return the text of a page without its code."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(`+).*?\1", "", text)


def anchors(path):
    """Return the anchors of the headings, as Sphinx (MyST) and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken_links(path):
    """Return the links to files or headings that do not exist."""
    broken = []
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        page, _, anchor = target.partition("#")
        if match := re.search(r"auto_examples/(\w+)\.rst$", page):  # of the gallery
            script = "GALLERY_HEADER.rst" if match[1] == "index" else f"{match[1]}.py"
            page = DOCS.parent / "examples" / script
        file = (path.parent / page).resolve() if page else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def unusual_terms(path):
    words = " ".join(prose(path).split())
    return [t for t in FORBIDDEN if re.search(rf"\b{re.escape(t)}\b", words, re.I)]


def test_pages_are_found():
    assert {"README.md", "docs/guide/index.md", "docs/zh/index.md"} <= {
        name(path) for path in CURRENT
    }


@pytest.mark.parametrize("path", sorted((DOCS / "guide").glob("*.md")), ids=name)
def test_page_of_the_guide_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_every_page_of_the_guide_is_in_the_table_of_contents():
    index = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    toctrees = "".join(re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL)).split()
    pages = {path.stem for path in (DOCS / "guide").glob("*.md")} - {"index"}
    assert pages <= set(toctrees)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_internal_links_resolve(path):
    assert broken_links(path) == []


@pytest.mark.parametrize("path", CURRENT, ids=name)
def test_terms_are_usual(path):
    assert unusual_terms(path) == []


def test_checks_find_what_they_look_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A: first `heading`\nThe road.\n"
        "[x](#a-first-heading) [y](#b) [z](missing.md)\n"
        "```\n[code](no.md) door\n```\n"
    )
    assert broken_links(page) == ["#b", "missing.md"]
    assert unusual_terms(page) == ["road"]
