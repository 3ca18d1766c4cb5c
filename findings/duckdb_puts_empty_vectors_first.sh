#!/usr/bin/env bash
# duckdb 2.0.1: rows whose vector is all zeros lead every search by array_cosine_similarity.
#
# One would expect: ORDER BY array_cosine_similarity(vector, query) DESC gives the nearest pictures first, and those without a
#   direction last or not at all: the same order as ORDER BY array_cosine_distance(vector, query).
# What happens: the similarity of a vector of zeros is NaN, and DuckDB takes NaN for larger than every number. So such rows come before
#   the picture whose vector is the query itself, and `WHERE similarity > 0.3` keeps them too. By the distance they come last.
#   A row without a vector (NULL) comes last both ways. No error, no warning.
# Who is hurt: whoever fills in zeros where a picture could not be read or a caption is missing, and searches the Parquet file
#   with DuckDB: the first page of every search is the broken pictures, whatever was asked. scikit-learn and usearch give
#   such a vector the similarity 0; Spice had the same order and changed it (spiceai/spiceai#11621).
# Where: extension/core_functions/scalar/array, array_cosine_similarity. That NaN is the largest number is in the documentation of
#   DuckDB's numbers, and not at the functions for vectors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 2>/dev/null
cat > "$folder/show.py" <<'PY'
import duckdb

base = duckdb.connect()
base.execute("CREATE TABLE pictures (name VARCHAR, vector FLOAT[3])")
base.executemany(
    "INSERT INTO pictures VALUES (?, ?)",
    [("a cat", [1, 0, 0]), ("a dog", [0.8, 0.6, 0]), ("unreadable", [0, 0, 0]), ("a car", [0, 0, 1]), ("not embedded", None)],
)
for what, order in (("array_cosine_similarity", "DESC"), ("array_cosine_distance", "ASC")):
    call = f"{what}(vector, [1, 0, 0]::FLOAT[3])"
    found = base.execute(f"SELECT name, {call} FROM pictures ORDER BY {call} {order}").fetchall()
    print(f"{what} {order}: {[(name, number if number is None else round(number, 2)) for name, number in found]}")
kept = base.execute(
    "SELECT name FROM pictures WHERE array_cosine_similarity(vector, [1, 0, 0]::FLOAT[3]) > 0.3 ORDER BY name"
).fetchall()
print(f"similarity above 0.3: {[name for (name,) in kept]}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="array_cosine_similarity DESC: [('unreadable', nan), ('a cat', 1.0), ('a dog', 0.8), ('a car', 0.0), ('not embedded', None)]
array_cosine_distance ASC: [('a cat', 0.0), ('a dog', 0.2), ('a car', 1.0), ('unreadable', nan), ('not embedded', None)]
similarity above 0.3: ['a cat', 'a dog', 'unreadable']"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
