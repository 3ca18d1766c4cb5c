#!/usr/bin/env bash
# langchain-openai 1.1.9: embeddings of a server on one's own machine begin with a download from OpenAI's.
#
# One would expect: OpenAIEmbeddings(base_url="http://127.0.0.1:...") sends its texts to that address and nowhere else.
# What happens: before the first request it fetches a tokenizer from openaipublic.blob.core.windows.net. Where that host
#   cannot be reached, embed_query fails and the server has heard nothing. Where it can, the code goes on
#   to send numbers of OpenAI's tokens in place of the text (not shown here: it needs the download), which no CLIP model
#   can read. With check_embedding_ctx_length=False the text goes to the server alone.
# Who is hurt: everyone who serves an encoder of their own in the shape of OpenAI's API and searches it through LangChain,
#   above all on machines without the internet, and those who thought that nothing leaves the machine.
# Where: langchain_openai/embeddings/base.py, OpenAIEmbeddings._tokenize (tiktoken by the name of the model).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  langchain-openai==1.1.9 langchain-core==1.8.3 openai==2.8.1 tiktoken==0.12.0 2>/dev/null
cat > "$folder/show.py" <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

heard: list[str] = []


class Recorder(BaseHTTPRequestHandler):
    """A server of embeddings, and a proxy that lets nothing through."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        heard.append(f"the server got {body['input']}")
        answer = {"object": "list", "model": "m", "usage": {"prompt_tokens": 0, "total_tokens": 0},
                  "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}]}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def do_CONNECT(self) -> None:
        heard.append(f"the proxy was asked for {self.path}")
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
os.environ |= {"HTTPS_PROXY": here, "https_proxy": here, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
os.environ["TIKTOKEN_CACHE_DIR"] = ""

from langchain_openai import OpenAIEmbeddings

for options in ({}, {"check_embedding_ctx_length": False}):
    heard.clear()
    client = OpenAIEmbeddings(
        model="clip", base_url=f"{here}/v1", api_key="any", max_retries=0, **options
    )
    try:
        client.embed_query("a red bird")
        ended = "answered"
    except Exception as error:
        ended = type(error).__name__
    print(options or "as it comes:", ended, *dict.fromkeys(heard), sep="\n  ")
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="as it comes:
  ProxyError
  the proxy was asked for openaipublic.blob.core.windows.net:443
{'check_embedding_ctx_length': False}
  answered
  the server got ['a red bird']"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
