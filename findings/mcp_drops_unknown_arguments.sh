#!/usr/bin/env bash
# mcp 2.3.0: a tool is called without the arguments that it does not have, and nobody is told.
#
# One would expect: an agent that calls search(words="castle", kategory="towns") is told that there is no `kategory`, as Python
#   does, and as the SDK does where an argument is missing or of another type. Or that the schema which agents see forbids it.
# What happens: the argument is dropped, and the tool answers for everything. The schema lacks "additionalProperties": false, so
#   that a client cannot find out before either.
# Who is hurt: whoever offers search by pictures or by words as a tool. Models make up names of arguments; a filter that is spelt in
#   another way gives results without the filter, which the agent then reports as filtered.
# Where: mcp/server/mcpserver/utilities/func_metadata.py: the model of the arguments ignores what it does not know, which is
#   pydantic's default. Open as modelcontextprotocol/python-sdk#3067. pareja forbids it in its own tools.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0 2>/dev/null
cat > "$folder/show.py" <<'PY'
import anyio
from mcp import Client
from mcp.server import MCPServer

server = MCPServer("pictures")
PICTURES = {"harbour": "sea", "beach": "sea", "castle": "towns"}


@server.tool()
def search(words: str, category: str | None = None) -> list[str]:
    """Return pictures of a category, or of all."""
    return [name for name, kind in PICTURES.items() if category in (None, kind)]


async def main() -> None:
    async with Client(server) as client:
        (tool,) = (await client.list_tools()).tools
        print("schema forbids others:", tool.input_schema.get("additionalProperties") is False)
        for arguments in ({"category": "towns"}, {"kategory": "towns"}, {"words": 7}):
            answer = await client.call_tool("search", {"words": "old walls", **arguments})
            found = "refused" if answer.is_error else answer.structured_content["result"]
            print(arguments, "->", found)


anyio.run(main)
PY
seen=$("$folder/venv/bin/python" "$folder/show.py" 2>/dev/null)
echo "$seen"
expected="schema forbids others: False
{'category': 'towns'} -> ['castle']
{'kategory': 'towns'} -> ['harbour', 'beach', 'castle']
{'words': 7} -> refused"
[ "$seen" = "$expected" ] || { echo "this has changed"; exit 1; }
