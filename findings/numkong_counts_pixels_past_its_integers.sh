#!/usr/bin/env bash
# numkong 7.8.6: two pictures of 256 x 256 pixels, compared as they are, are nearer than they are, or not a number.
#
# One would expect: euclidean, dot and angular of two arrays of uint8 are those of NumPy in wider numbers, up to rounding, for any length.
# What happens: products of bytes are added up in 32 bits. Beyond 66,051 bytes of 255 the sum starts again from 0: the distance of a white
#   picture of 256 x 256 x 3 from a black one comes out as 0.57 of what it is, and their dot product is too small as well.
#   With the loops for AVX2, `angular` adds up in signed numbers, so that from 128 x 128 x 3 a white picture has the
#   distance NaN from itself. cdist does the same. No error, no warning; thumbnails up to 96 x 96 are right.
# Who is hurt: whoever looks for duplicates by the pixels themselves, as with thumbnails, masks or histograms over a video: bright
#   pictures are near to what they are far from, and NaN is never below a threshold, so their duplicates stay.
# Where: include/numkong/dot and include/numkong/spatial, the kernels for u8 (serial.h and haswell.h). Lance had the same
#   (lance-format/lance#8886). pareja gives numkong floating numbers and bits, and no bytes of that length.
# Where the processor has no AVX2, only the plain loops are shown, and the script says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numkong==7.8.6 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import math

import numkong
import numpy as np

able = [name for name, has in numkong.get_capabilities().items() if has and name != "serial"]
for name in able:
    if name != "haswell":
        numkong.disable_capability(name)
for loops in ["haswell"] * ("haswell" in able) + ["plain"]:
    if loops == "plain" and "haswell" in able:
        numkong.disable_capability("haswell")
    for side in (96, 128, 256):
        white = np.full(side * side * 3, 255, dtype=np.uint8)
        black = np.zeros_like(white)
        far = float(numkong.euclidean(white, black)) / math.sqrt(white.size * 255**2)
        long = float(numkong.dot(white, white)) / (white.size * 255**2)
        itself = float(numkong.angular(white, white))
        print(
            f"{loops} loops, {side} x {side}: white from black {far:.2f} of what it is, white by white {long:.2f} of it, "
            f"white from white {'NaN' if math.isnan(itself) else f'{itself:.2f}'}"
        )
if "haswell" not in able:
    print("no AVX2 here")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
plain="plain loops, 96 x 96: white from black 1.00 of what it is, white by white 1.00 of it, white from white 0.00
plain loops, 128 x 128: white from black 1.00 of what it is, white by white 1.00 of it, white from white 0.00
plain loops, 256 x 256: white from black 0.57 of what it is, white by white 0.33 of it, white from white 0.00"
expected="haswell loops, 96 x 96: white from black 1.00 of what it is, white by white 1.00 of it, white from white 0.00
haswell loops, 128 x 128: white from black 1.00 of what it is, white by white 1.00 of it, white from white NaN
haswell loops, 256 x 256: white from black 0.57 of what it is, white by white 0.33 of it, white from white NaN
$plain"
[ "$seen" = "$expected" ] || [ "$seen" = "$plain
no AVX2 here" ] || { echo "this has changed"; exit 1; }
