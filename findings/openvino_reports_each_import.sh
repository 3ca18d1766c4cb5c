#!/usr/bin/env bash
# OpenVINO 2026.4.1: `import openvino` sends an event to Google Analytics, from a process that it forks.
#
# One would expect: importing a package that runs networks on this machine talks to nobody, or asks
#   first.
# What happens: unless a file in the home folder says otherwise, the import alone sends the event "general_import", with
#   the version, the system and a number that stands for the person, to www.google-analytics.com. No question is asked
#   and nothing is printed. The running program is forked for it, by a thread.
# Who is hurt: whoever works with pictures that must not leave a building and has to vouch for every connection; programs
#   that hold locks or threads which a fork does not survive; every command-line tool built on OpenVINO, at each start.
# Where: openvino/tools/ovc/__init__.py, which openvino/__init__.py imports; openvino_telemetry/backend/backend_ga4.py
#   2025.2.0. The import falls back to a stub where `openvino_telemetry` cannot be imported, and then sends nothing.
# Nothing is sent here: the function that opens the connection is replaced, and writes down where it would lead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 openvino-telemetry==2025.2.0 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import json
import os
import sys
import time
from pathlib import Path
from urllib import request
from urllib.parse import urlsplit

asked, stub = Path(sys.argv[1]), sys.argv[2]
parent = os.getpid()


def opened(wanted, *rest, **options):
    name = json.loads(wanted.data)["events"][0]["params"]["event_label"]
    process = "this process" if os.getpid() == parent else "a forked process"
    with asked.open("a") as file:
        file.write(f"{name} to {urlsplit(wanted.full_url).hostname} from {process}\n")


request.urlopen = opened
if stub == "without":
    sys.modules["openvino_telemetry"] = None
import openvino  # noqa: E402,F401

time.sleep(4)
PY
touch "$folder/asked"
for package in without with; do
    before=$(wc -l < "$folder/asked")
    env -u CI HOME="$folder" "$folder/venv/bin/python" "$folder/show.py" "$folder/asked" "$package" 2>/dev/null
    echo "$package openvino_telemetry: $(tail -n +$((before + 1)) "$folder/asked")"
done | tee "$folder/seen"
wanted="without openvino_telemetry: 
with openvino_telemetry: general_import to www.google-analytics.com from a forked process"
[ "$(cat "$folder/seen")" = "$wanted" ] || { echo "this has changed"; exit 1; }
