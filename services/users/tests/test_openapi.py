import pytest
from flask import Flask

from common.tests.conformance import check_conformance
from services.users.tests.accounts import register, sign_in

pytestmark = pytest.mark.integration


def test_generated_requests_meet_what_is_documented(app: Flask) -> None:
    headers = sign_in(app.test_client(), api_key=register(app.test_client())["api_key"])
    # Which fields go together in a sign-in, and which passwords are weak, is said in words.
    in_words = ["POST /api/v1/tokens", "POST /api/v1/users"]
    assert check_conformance(app, headers, rules_in_words=in_words) == 7
