"""Which modules have no examples to run here: those around a package that is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("langchain_core") else ["pareja/langchain.py"]
