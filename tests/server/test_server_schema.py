"""Random requests that the API's own description allows, and some that it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Config, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

CONFIG = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    positive_data_acceptance,
    unsupported_method,
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_breaks_the_server_or_its_promises(
    make_app: Callable[..., FastAPI], mode: GenerationMode
) -> None:
    app = make_app(allowed_hosts=("testserver",))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=Config.from_path(CONFIG))
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) >= 14
    for operation in operations:
        # Nothing can be wrong with a request that takes nothing.
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Any) -> None:
            case.validate_response(case.call(), checks=CHECKS)

        send()
