"""Flickr's API: searches, licences and photos. The key is in no URL and no message."""

import json
import re
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from skvision._utils import http
from skvision._utils.http import TryAgain, read_url, retrying
from skvision.exceptions import DownloadError

API_URL = "https://api.flickr.com/services/rest/"
PHOTO_HOSTS = (".staticflickr.com", ".flickr.com")

# The API accepts 3600 requests an hour; images are not counted.
SECONDS_PER_REQUEST = 1.0
PER_PAGE = 250
MAX_PHOTOS = 4000  # a search finds no more
_MAX_ANSWER_BYTES = 10**7
MAX_PHOTO_BYTES = 10**7

# Longest side of an image in pixels, and the name of its URL in a search.
SIZES = {320: "url_n", 500: "url_m", 640: "url_z", 800: "url_c", 1024: "url_l"}

_INVALID_KEY = {100}
_UNAVAILABLE = {0, 10, 105, 106, 201}
_KEY = re.compile(r"[0-9A-Za-z]{16,64}")


class License(NamedTuple):
    """One of Flickr's licences."""

    id: int
    name: str
    url: str

    @property
    def allows_derivatives(self):
        """Whether it is a licence or dedication under which photos may be changed."""
        match = re.search(
            r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/", self.url
        )
        return bool(match) and "nd" not in match[2].split("-")

    def is_among(self, requested):
        """Return whether the licence is asked for: None, ids or names."""
        if requested is None:
            return self.allows_derivatives
        names = {self.name.upper(), re.sub(r" \d\.\d$", "", self.name).upper()}
        return any(
            item.upper() in names if isinstance(item, str) else item == self.id
            for item in requested
        )


class Photo(NamedTuple):
    """A photo that a search has found."""

    id: str
    title: str
    owner: str
    page_url: str
    image_url: str | None  # None if there is none of the size asked for
    license_id: int


class FlickrApi:
    """Flickr's API with a key, within its rate limit."""

    def __init__(self, key, n_retries, delay):
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ValueError(
                "api_key must be the key of Flickr's API, a str of 32 letters and "
                "digits; got something else, which is not shown here. Request a key "
                "at https://www.flickr.com/services/api/keys/, and pass it as api_key "
                "or in the environment variable FLICKR_API_KEY."
            )
        self._key, self._n_retries, self._delay = key, n_retries, delay
        self._next = time.monotonic()

    def licenses(self):
        """Return the licences by id."""
        found = self._call("flickr.photos.licenses.getInfo", _licenses)
        return {license.id: license for license in found}

    def search(self, tags, license_ids, size, page):
        """Return a page of the photos that have one of the tags."""
        parameters = {
            "tags": ",".join(tags),
            "tag_mode": "any",
            "license": ",".join(map(str, license_ids)),
            "media": "photos",
            "content_type": 1,  # no screenshots or drawings
            "safe_search": 1,
            "sort": "relevance",
            "extras": f"license,owner_name,{SIZES[size]}",
            "per_page": PER_PAGE,
            "page": page,
        }
        return self._call(
            "flickr.photos.search", lambda answer: _photos(answer, size), **parameters
        )

    def image(self, url):
        """Return the content of an image. Raises an OSError if it is not available."""

        def attempt():
            # Flickr redirects from deleted photos to an image that says so.
            return read_url(url, max_bytes=MAX_PHOTO_BYTES, redirects=False)

        return retrying(attempt, url, self._n_retries, self._delay)

    def _call(self, method, parse, **parameters):
        """Call a method of the API, and return its parsed answer."""
        parameters |= {"method": method, "format": "json", "nojsoncallback": 1}

        def attempt():
            self._wait()
            # Posted, so that the key is in no URL, which servers and proxies log.
            body = read_url(
                API_URL,
                data=parameters | {"api_key": self._key},
                max_bytes=_MAX_ANSWER_BYTES,
                redirects=False,
            )
            body = body.replace(self._key.encode(), b"(api_key)")
            return _parsed(body, parse)

        return retrying(attempt, f"{API_URL} ({method})", self._n_retries, self._delay)

    def _wait(self):
        """Wait until the next request is within the rate limit."""
        now = time.monotonic()
        if self._next > now:
            http._sleep(self._next - now)
        self._next = max(now, self._next) + SECONDS_PER_REQUEST


def _parsed(body, parse):
    """Return what `parse` makes of an answer in JSON."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise TryAgain("the answer is not valid JSON") from None
    if not isinstance(answer, dict):
        raise TryAgain("the answer is not a JSON object")
    if answer.get("stat") != "ok":
        raise _failure(answer)
    try:
        return parse(answer)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise TryAgain("the answer lacks what was asked for") from None


def _failure(answer):
    """Return the exception for an answer that reports an error."""
    code, message = answer.get("code"), str(answer.get("message"))[:200]
    text = f"Flickr answers with the error {code!r}: {message}"
    code = int(code) if str(code).isdecimal() else None
    if code in _INVALID_KEY:
        return ValueError(
            f"api_key is not accepted. {text}. Check it at "
            "https://www.flickr.com/services/api/keys/."
        )
    if code in _UNAVAILABLE or "not currently available" in message:
        return TryAgain(text)
    return DownloadError(f"{text}. Check the arguments of fetch_flickr_images.")


def _licenses(answer):
    return [
        License(int(entry["id"]), *_license_name(entry))
        for entry in answer["licenses"]["license"]
    ]


def _license_name(entry):
    """Return (name, URL) of a licence; Flickr's names do not have the version."""
    name, url = plain(entry["name"]), plain(entry.get("url") or "")
    match = re.search(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)", url)
    if match:
        return f"CC {match[1].upper()} {match[2]}", url
    if "creativecommons.org/publicdomain/zero" in url:
        return "CC0 1.0", url
    return name, url


def _photos(answer, size):
    photos = (_photo(entry, SIZES[size]) for entry in answer["photos"]["photo"])
    return [photo for photo in photos if photo is not None]


def _photo(entry, size):
    """Return a photo, or None if the entry is not as documented."""
    try:
        number, owner = str(entry["id"]), str(entry["owner"])
        if not re.fullmatch(r"[0-9]{1,20}", number):
            return None
        if not re.fullmatch(r"[0-9A-Za-z@_-]{1,50}", owner):
            return None
        url = entry.get(size)
        return Photo(
            number,
            plain(entry.get("title") or ""),
            plain(entry.get("ownername") or owner),
            f"https://www.flickr.com/photos/{owner}/{number}/",
            url if _is_photo_url(url) else None,
            int(entry["license"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _is_photo_url(url):
    if not isinstance(url, str) or not re.fullmatch(r"[!-~]{1,500}", url):
        return False
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return f".{host}".endswith(PHOTO_HOSTS)


def plain(text):
    """Return text on one line, that no spreadsheet takes as a formula."""
    if isinstance(text, dict):  # as Flickr's format for JSON has some texts
        text = text.get("_content", "")
    text = str(text).encode("utf-8", "replace").decode()
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
