"""
Check a folder before training
==============================

Damaged files, duplicates and wrong labels are the usual faults of a collection of
photos. This example plants them in a copy of the sample photos, and finds them with
:func:`~skvision.datasets.check_image_files`.
"""

# %%
# A folder with faults
# --------------------
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from skvision.datasets import check_image_files, load_image_files, load_sample_photos

# sphinx_gallery_thumbnail_number = 2

photos = Path(load_sample_photos().data[0]).parents[2]
folder = Path(tempfile.mkdtemp())
for part in ("train", "test"):
    for name in ("petals", "roof", "wall"):
        shutil.copytree(photos / part / name, folder / part / name)

petals, roof, wall = (
    sorted((folder / "train" / name).iterdir()) for name in ("petals", "roof", "wall")
)
# A broken download: half of the file is missing.
petals[0].write_bytes(petals[0].read_bytes()[:900])
# The same photo in two classes: one of the labels is wrong.
shutil.copy(roof[3], folder / "train" / "wall" / "IMG_0412.jpg")
# A test photo that is also a training photo, saved again with another quality.
Image.open(wall[5]).save(folder / "test" / "wall" / "IMG_0977.jpg", quality=60)
# A thumbnail.
Image.open(petals[1]).resize((6, 6)).save(petals[0].with_name("thumb.png"))

# %%
# The report
# ----------
# Pass the test photos as well: a photo in both parts makes the accuracy too high.
train = load_image_files(folder / "train")
test = load_image_files(folder / "test")
report = check_image_files(train.data, train.target, X_val=test.data, y_val=test.target)
print(str(report).replace(str(folder), "photos"))

# %%
# The photos of each class
# ------------------------
# Six random photos of each class, to see whether the labels mean what you think.
report.plot(n_images=6)

# %%
# The photos with problems
# ------------------------
# One row per problem, with the names of the files, their part and their class. Photos
# that are alike stand next to each other. The broken file cannot be drawn. Which to
# delete is your decision: the check changes nothing.
report.plot(problems=True, n_images=6)

# %%
# As a table
# ----------
# To go on in code, for example to leave out the photos that cannot be read:
frame = report.to_frame()
print(frame["problem"].value_counts().to_string())
X, y = train.data[report.readable], train.target[report.readable]
print(len(train.data), "photos,", len(X), "of them readable")

shutil.rmtree(folder)
