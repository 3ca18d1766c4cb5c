"""Training: adapting an encoder to somebody's own pictures, and measuring what that changed."""

from importlib.util import find_spec

from pareja.errors import MissingDependencyError

for _package in ("torch", "peft"):
    if find_spec(_package) is None:
        raise MissingDependencyError(_package, "to tune encoders", "tune")
