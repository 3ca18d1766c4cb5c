#!/usr/bin/env bash
# Hugging Face datasets 5.2.0: a picture whose file name holds a word like "test" takes the rest of the dataset with it.
#
# One would expect: `load_dataset("imagefolder", data_dir=FOLDER)` on a folder of pictures with a metadata.csv gives
#   every picture with its caption, whatever the pictures are called.
# What happens: the words train, test, validation (and others), set apart by a space, "-", "_" or ".", are
#   taken for split names anywhere in a file's name or folder. If any file has one, only such files are loaded: the others
#   vanish without a warning, and with them the metadata.csv, so that the captions of what is left are gone too.
# Who is hurt: whoever shares captioned photographs: one "test strip.jpg" among 20 pictures leaves one picture and no captions.
# Where: datasets/data_files.py, the default patterns of split names in file names.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==12.2.0 2>/dev/null
mkdir -p "$folder/photos"
cat > "$folder/show.py" <<'PY'
import sys
from pathlib import Path

from datasets import load_dataset
from PIL import Image

folder = Path(sys.argv[1])
names = ["beach.jpg", "castle.jpg", "test strip.jpg"]
for n, name in enumerate(names):
    Image.new("RGB", (8, 8), (80 * n, 0, 0)).save(folder / name)
rows = "".join(f"{name},a caption\n" for name in names)
(folder / "metadata.csv").write_text("file_name,caption\n" + rows)
loaded = load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(folder.parent / "cache"))
for split, part in loaded.items():
    print(split, len(part), sorted(part.features))
PY
seen=$(HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/show.py" "$folder/photos" 2>/dev/null)
echo "$seen"
[ "$seen" = "test 1 ['image']" ] || { echo "this has changed"; exit 1; }
