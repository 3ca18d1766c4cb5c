"""Collections for agents: search, look, classify and measure, through the Model Context Protocol.

Every tool only reads, and shows only pictures of the collections.
"""

from pareja.agents.serving import build_server, serve_agents
from pareja.agents.tools import Tools

__all__ = ["Tools", "build_server", "serve_agents"]
