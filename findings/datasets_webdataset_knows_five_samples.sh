#!/usr/bin/env bash
# Hugging Face datasets 5.2.0: what the first five samples of a WebDataset lack, no later sample has.
#
# One would expect: `load_dataset("webdataset", data_files="pictures.tar")` gives each sample's picture and caption, as the
#   webdataset package does; a field that only some samples have is None in the others.
# What happens: the columns, and the keys inside of a .json, are those of the first five samples. A sixth sample with a
#   .png where the first had .jpg comes with its picture as None; captions that begin later, and later keys of a .json,
#   are gone. Nothing is said.
# Who is hurt: whoever shares crawled pictures with captions as WebDataset, where formats are mixed and fields are missing:
#   rows without picture or caption, or a dataset that seems to have no captions.
# Where: datasets/packaged_modules/webdataset/webdataset.py, WebDataset._split_generators
#   (NUM_EXAMPLES_FOR_FEATURES_INFERENCE = 5).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datasets==5.2.0 webdataset==1.0.2 pillow==12.2.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import io
import json
import sys
import tarfile
from pathlib import Path

import webdataset
from datasets import load_dataset
from PIL import Image

folder = Path(sys.argv[1])
kinds = {"jpg": "JPEG", "png": "PNG"}


def sample(number: int, picture: str, **description: str) -> dict[str, bytes]:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (30 * number, 0, 0)).save(file, kinds[picture])
    return {picture: file.getvalue(), "json": json.dumps({"id": number} | description).encode()}


with tarfile.open(folder / "pictures.tar", "w") as tar:
    for number in range(8):
        fields = sample(number, "jpg") if number < 5 else sample(number, "png", caption="a red square")
        for end, content in fields.items():
            entry = tarfile.TarInfo(f"{number:03}.{end}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

path = str(folder / "pictures.tar")
here = list(load_dataset("webdataset", data_files=path, split="train", cache_dir=str(folder / "cache")))
there = list(webdataset.WebDataset(path, shardshuffle=False))
for name, rows in (("datasets", here), ("webdataset", there)):
    pictures = sum(any(row.get(kind) is not None for kind in kinds) for row in rows)
    described = [row["json"] if isinstance(row["json"], dict) else json.loads(row["json"]) for row in rows]
    captions = sum("caption" in each for each in described)
    print(f"{name}: {len(rows)} samples, {pictures} with a picture, {captions} with a caption")
PY
seen=$(HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/show.py" "$folder" 2>/dev/null)
echo "$seen"
expected="datasets: 8 samples, 5 with a picture, 0 with a caption
webdataset: 8 samples, 8 with a picture, 3 with a caption"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
