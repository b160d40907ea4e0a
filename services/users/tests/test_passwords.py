import time
from statistics import median

import pytest

from services.users.domain import WeakPasswordError
from services.users.passwords import Passwords, require_strong
from services.users.tests.accounts import PASSWORD


def test_a_password_matches_only_its_own_hash() -> None:
    passwords = Passwords()
    first, second = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$")
    assert PASSWORD not in first
    assert passwords.verify(first, PASSWORD)
    assert passwords.verify(second, PASSWORD)
    assert not passwords.verify(first, PASSWORD + " ")


@pytest.mark.parametrize("password_hash", [None, "", "nonsense", "$argon2id$v=19$broken"])
def test_no_password_matches_without_a_hash(password_hash: str | None) -> None:
    assert not Passwords().verify(password_hash, PASSWORD)


def test_verification_takes_equal_time_for_unknown_users() -> None:
    passwords = Passwords()
    known = passwords.hash(PASSWORD)

    def seconds(password_hash: str | None) -> float:
        started = time.process_time()
        passwords.verify(password_hash, "wrong")
        return time.process_time() - started

    pairs = [(seconds(known), seconds(None)) for _ in range(15)]
    ratio = median(one for one, _ in pairs) / median(other for _, other in pairs)
    assert 0.5 < ratio < 2


def test_equivalent_unicode_forms_are_the_same_password() -> None:
    passwords = Passwords()
    assert passwords.verify(passwords.hash("caf\u00e9 au lait, s'il vous plait"), "cafe\u0301 au lait, s'il vous plait")


@pytest.mark.parametrize("password", [PASSWORD, "my cat eats tofu daily", "\u6f22\u5b57" * 4 + "k3j2h4kjh2k3j4h2k"])
def test_a_strong_password_is_accepted(password: str) -> None:
    require_strong(password, username="johndoe", email="john.doe@example.com")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "Shorter than 15"),
        ("k3j2h4kjh2k3j4", "Shorter than 15"),
        ("passwordpassword", "Too easy"),
        ("aaaaaaaaaaaaaaaaaaaa", "Too easy"),
        ("123456789012345678", "Too easy"),
        ("qwertyuiopasdfgh", "Too easy"),
        ("johndoejohndoejohndoe", "Too easy"),
        ("5" * 128, "Too easy"),
    ],
)
def test_a_weak_password_is_rejected_with_its_reason(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError) as caught:
        require_strong(password, username="johndoe", email="john.doe@example.com")
    assert caught.value.errors is not None
    assert reason in caught.value.errors["password"][0]
