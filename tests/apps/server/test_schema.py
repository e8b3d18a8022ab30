"""The OpenAPI schema, and the server held to it by generated requests."""

import pytest

from egoframe.apps.server.settings import Settings
from tests.apps.server.fakes import fake_app, served

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

APP = fake_app(settings=Settings(token=None, limit=20))[0]
SCHEMA = schemathesis.openapi.from_dict(APP.openapi())


@pytest.fixture(scope="module")
def address():
    with served(APP) as url:
        yield url


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=15, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
def test_every_answer_is_as_the_schema_says(address, case):
    checks = schemathesis.checks
    case.call_and_validate(
        base_url=address, excluded_checks=[checks.CHECKS.get_one("positive_data_acceptance")]
    )  # no schema can say what a photo is


def test_everything_is_described_with_examples():
    schema = APP.openapi()
    assert schema["info"]["title"] == "egoframe"
    for path in ("/v1/action-frames", "/v1/next-actions", "/v1/storyboards"):
        operation = schema["paths"][path]["post"]
        assert operation["summary"]
        assert {"200", "202", "401", "413", "422", "429", "503", "504"} <= set(
            operation["responses"]
        )
        assert "Retry-After" in operation["responses"]["429"]["headers"]
        assert "example" in operation["responses"]["422"]["content"]["application/problem+json"]
        body = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
        fields = schema["components"]["schemas"][body.rpartition("/")[2]]["properties"]
        assert fields["image"]
    assert {"action", "description", "seed", "steps"} <= set(
        schema["components"]["schemas"]["Body_action_frames_v1_action_frames_post"]["properties"]
    )
    assert "/sign-in" not in schema["paths"]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
