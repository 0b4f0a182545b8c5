"""A web service that classifies images, and a page for it.

python app.py model.onnx --workers 2

In an environment with requirements.txt; docs/guide/serving.md explains the rest.
"""

import argparse
import asyncio
import os
import re
import socket
import sys
from base64 import b64encode
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from images import MAX_PIXELS, RefusedImage, read_image
from limits import UploadLimits
from model import N_CELLS, Model, check_model, covered
from starlette.formparsers import MultiPartParser

MAX_BYTES = int(os.environ.get("MAX_BYTES", 15_000_000))
MAX_SECONDS = float(os.environ.get("MAX_SECONDS", 30))
MAX_UPLOADS = int(os.environ.get("MAX_UPLOADS", 24))  # at the same time, per worker
MAX_EXPLAINED = 4

FOLDER = Path(__file__).parent
# Nothing of an image is written to a temporary file.
MultiPartParser.spool_max_size = MAX_BYTES
# One image at a time is decoded and classified, with all threads of the worker.
one_at_a_time = ThreadPoolExecutor(1)


@asynccontextmanager
async def lifespan(app):
    n_workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
    n_cpus = getattr(os, "process_cpu_count", os.cpu_count)()
    app.state.model = Model(os.environ["MODEL"], max(1, n_cpus // n_workers))
    app.state.n_explained = 0
    yield


def source(html, tag):
    """Return how a Content-Security-Policy names the one script or style of a page."""
    text = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


PAGE = (FOLDER / "index.html").read_text("utf-8")
# The page runs its own script and no other, and no other page can frame it.
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "connect-src 'self'; img-src blob: data:; "
    f"script-src {source(PAGE, 'script')}; style-src {source(PAGE, 'style')}"
)
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


# The pages of documentation, /docs and /redoc, would load scripts of others.
app = FastAPI(
    title="Image classifier", lifespan=lifespan, docs_url=None, redoc_url=None
)
app.add_middleware(
    UploadLimits,
    max_bytes=MAX_BYTES,
    max_seconds=MAX_SECONDS,
    max_uploads=MAX_UPLOADS,
)


@app.get("/", include_in_schema=False)
async def page():
    return HTMLResponse(PAGE, headers=PAGE_HEADERS)


@app.get("/healthz")
async def health():
    """Whether this worker is ready, and its process."""
    return {"status": "ok", "pid": os.getpid()}


@app.get("/model")
async def model():
    """What is known about the model, and the limits of images."""
    limits = {"bytes": MAX_BYTES, "seconds": MAX_SECONDS, "pixels": MAX_PIXELS}
    return {"model": app.state.model.metadata, "limits": limits}


@app.post("/predict")
async def predict(request: Request, image: UploadFile, explain: bool = False):
    """The probabilities of all classes; with `explain`, also where the model looked."""
    try:
        pixels, box, label, probabilities = await in_turn(classify, image.file)
    except RefusedImage as error:
        headers = {"Retry-After": "60"} if error.status == 503 else None
        raise HTTPException(error.status, str(error), headers) from error
    answer = {"label": label, "probabilities": probabilities}
    if explain:
        index = list(probabilities).index(label)
        answer["explanation"] = await where_it_looked(request, pixels, index)
        answer["explanation"]["box"] = box
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return JSONResponse(answer, headers=headers)


def classify(file):
    model = app.state.model
    pixels, box = read_image(file, model.metadata)
    return pixels, box, *model.predict(pixels)


async def where_it_looked(request, pixels, index):
    """Return a map of how much the log-odds of a class fall where a part is covered.

    And the probability before, and the lowest one. Takes 36 times as long as a
    prediction, in between which other images come.
    """
    state, model = app.state, app.state.model
    if state.n_explained >= MAX_EXPLAINED:
        detail = "Too many images are being explained. Try again in a minute."
        raise HTTPException(503, detail, {"Retry-After": "60"})
    state.n_explained += 1
    try:
        before = lowest = (await in_turn(model.probabilities, pixels))[index]
        falls = np.zeros((N_CELLS, N_CELLS))
        for image, cells in covered(pixels):
            if await request.is_disconnected():
                break
            after = (await in_turn(model.probabilities, image))[index]
            # Not negative: parts that overlap would cancel each other out.
            falls[cells] += max(0, log_odds(before) - log_odds(after))
            lowest = min(lowest, after)
    finally:
        state.n_explained -= 1
    map_ = np.round(falls / 4, 4)  # each cell was covered four times
    return {
        "map": map_.tolist(),
        "probability": float(before),
        "lowest_probability": float(lowest),
    }


def log_odds(probability):
    p = np.clip(float(probability), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


async def in_turn(function, *arguments):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(one_at_a_time, function, *arguments)


@app.exception_handler(RequestValidationError)
async def invalid_request(request, error):
    found = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
    kind = request.headers.get("content-type", "none").split(";")[0]
    detail = (
        f"The request is not valid ({found}; its Content-Type is {kind!r}). Expected "
        "a form with an image file in the field 'image': curl -F image=@photo.jpg URL"
    )
    return JSONResponse({"detail": detail}, status_code=422)


def port(text):
    if not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return int(text)


def at_least_one(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def check_address(host, port):
    """Raise unless a server can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        if os.name == "posix":  # elsewhere it allows a port that is in use
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OSError(
                f"Cannot listen on port {port} of {host} ({error.strerror}). Choose "
                "another port with --port, or another address with --host."
            ) from error


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="file that skvision.export.export_model wrote")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=port, default=8000, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=at_least_one, default=1, help="default: %(default)s"
    )
    options = parser.parse_args()
    # Before the workers start, each of which would fail and be started again.
    try:
        # In a process of its own, which frees all memory.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            process.submit(check_model, options.model).result()
        check_address(options.host, options.port)
    except (ValueError, OSError) as error:
        sys.exit(f"app.py: error: {error}")
    os.environ["MODEL"] = os.path.abspath(options.model)
    os.environ["WEB_CONCURRENCY"] = str(options.workers)  # as uvicorn calls it
    uvicorn.run(
        "app:app",
        app_dir=str(FOLDER),
        host=options.host,
        port=options.port,
        workers=options.workers,
        server_header=False,
        timeout_graceful_shutdown=30,
    )


if __name__ == "__main__":
    main()
