#!/usr/bin/env bash
# llama-index-core 0.14.25: a pipeline that has embedded one picture gives that picture back in the place of the next ones.
#
# One would expect: IngestionPipeline.run(nodes=[ImageNode(image_path="b.jpg")]) gives a node for b.jpg with its embedding.
# What happens: the pipeline remembers what it has done by the text and the metadata of the nodes, joined without a mark between them.
#   The picture is not part of that. ImageNodes without text all look alike, so the second call gives the node of the first: its id,
#   its path and its embedding. A list of two, where one was done before, comes back as one. If the captions are the same,
#   it happens with captions too. No error, no warning; the cache is on by default, and persist() keeps it for the next day.
# Who is hurt: whoever embeds a folder picture by picture (or in batches) and puts the nodes into an index: it holds the first picture
#   many times over and the others never, and no search finds them. Nodes with a file name in their metadata are well.
# Where: llama_index/core/ingestion/pipeline.py, get_transformation_hash and run_transformations. For texts, known as
#   run-llama/llama_index#23003. IngestionPipeline(disable_cache=True) does the work each time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.25 numpy==2.4.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import ImageNode, TransformComponent


class Embed(TransformComponent):
    """Stands for an encoder: the embedding tells the pictures apart."""

    def __call__(self, nodes, **kwargs):
        for node in nodes:
            node.embedding = [float(ord(node.image_path[0]))]
        return nodes


def told(pipeline, *nodes):
    return [(node.image_path, node.embedding[0]) for node in pipeline.run(nodes=list(nodes))]


for name, options in (("as it is", {}), ("disable_cache=True", {"disable_cache": True})):
    pipeline = IngestionPipeline(transformations=[Embed()], **options)
    print(f"{name}, a.jpg: {told(pipeline, ImageNode(image_path='a.jpg'))}")
    print(f"{name}, then b.jpg: {told(pipeline, ImageNode(image_path='b.jpg'))}")
    print(f"{name}, then c.jpg and d.jpg: {told(pipeline, ImageNode(image_path='c.jpg'), ImageNode(image_path='d.jpg'))}")
    told(pipeline, ImageNode(image_path="e.jpg", text="a red bird"))
    print(f"{name}, a red bird in f.jpg after e.jpg: {told(pipeline, ImageNode(image_path='f.jpg', text='a red bird'))}")
    named = [ImageNode(image_path=path, metadata={"file": path}) for path in ("g.jpg", "h.jpg")]
    told(pipeline, named[0])
    print(f"{name}, h.jpg after g.jpg, with metadata: {told(pipeline, named[1])}")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="as it is, a.jpg: [('a.jpg', 97.0)]
as it is, then b.jpg: [('a.jpg', 97.0)]
as it is, then c.jpg and d.jpg: [('a.jpg', 97.0)]
as it is, a red bird in f.jpg after e.jpg: [('e.jpg', 101.0)]
as it is, h.jpg after g.jpg, with metadata: [('h.jpg', 104.0)]
disable_cache=True, a.jpg: [('a.jpg', 97.0)]
disable_cache=True, then b.jpg: [('b.jpg', 98.0)]
disable_cache=True, then c.jpg and d.jpg: [('c.jpg', 99.0), ('d.jpg', 100.0)]
disable_cache=True, a red bird in f.jpg after e.jpg: [('f.jpg', 102.0)]
disable_cache=True, h.jpg after g.jpg, with metadata: [('h.jpg', 104.0)]"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
