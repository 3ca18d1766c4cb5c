#!/usr/bin/env bash
# Hugging Face datasets 5.2.0 with Pillow 12.2.0: a picture that was changed in place is stored as it was before.
#
# One would expect: dataset.map(f), where f pastes a black box over a face in row["image"], gives a dataset of pictures with the box;
#   and Dataset.from_dict({"image": [picture]}) holds the picture as it is in memory.
# What happens: a picture that Pillow opened from a file still knows that file's name, whatever was done to it since. The
#   dataset takes the name for the picture, and stores or reads the file. What changes a picture in place (paste,
#   thumbnail, putpixel, ImageDraw) is lost; what makes a new one (copy, resize, crop, convert) is kept. No warning.
# Who is hurt: whoever hides faces or number plates before sharing photographs: the shared dataset has them all in the open.
#   Whoever makes thumbnails stores the large pictures, and embeds those. A dataset that holds its pictures as
#   bytes keeps the same edits, so that a trial with one tells nothing of the other.
# Where: datasets/features/image.py, encode_pil_image (path = image.filename).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==12.2.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import pathlib
import sys

import datasets
from PIL import Image

folder = pathlib.Path(sys.argv[1])
(folder / "pictures").mkdir()
Image.new("RGB", (64, 64), "white").save(folder / "pictures" / "face.png")


def boxed(row):
    row["image"].paste("black", (0, 0, 64, 64))
    return row


def boxed_copy(row):
    picture = row["image"].copy()
    picture.paste("black", (0, 0, 64, 64))
    return {"image": picture}


def told(name, rows):
    picture = rows[0]["image"]
    print(f"{name}: {picture.size[0]} pixels wide, {'black' if picture.getpixel((5, 5))[0] == 0 else 'white'}")


files = datasets.load_dataset(
    "imagefolder", data_dir=str(folder / "pictures"), split="train", cache_dir=str(folder / "cache")
)
told("map, in place", files.map(boxed))
told("map, on a copy", files.map(boxed_copy))
held = datasets.Dataset.from_dict(
    {"image": [{"bytes": (folder / "pictures" / "face.png").read_bytes(), "path": None}]},
    features=datasets.Features({"image": datasets.Image()}),
)
told("map, in place, pictures held as bytes", held.map(boxed))
small = Image.open(folder / "pictures" / "face.png")
small.thumbnail((16, 16))
told(f"from_dict, of a thumbnail {small.size[0]} pixels wide", datasets.Dataset.from_dict({"image": [small]}))
PY
seen=$(HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" "$folder/show.py" "$folder" 2>/dev/null)
echo "$seen"
expected="map, in place: 64 pixels wide, white
map, on a copy: 64 pixels wide, black
map, in place, pictures held as bytes: 64 pixels wide, black
from_dict, of a thumbnail 16 pixels wide: 64 pixels wide, white"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
