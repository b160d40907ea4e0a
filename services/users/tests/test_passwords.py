import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from common.errors import Unavailable
from services.users.passwords import Passwords
from services.users.tests.accounts import PASSWORD


def test_a_password_fits_its_own_hash_only() -> None:
    passwords = Passwords()
    first, second = passwords.hash(PASSWORD), passwords.hash(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$")
    assert PASSWORD not in first
    assert passwords.verify(first, PASSWORD)
    assert passwords.verify(second, PASSWORD)
    assert not passwords.verify(first, PASSWORD + " ")


@pytest.mark.parametrize("password_hash", [None, "", "nonsense", "$argon2id$v=19$broken"])
def test_without_a_hash_nothing_fits(password_hash: str | None) -> None:
    assert not Passwords().verify(password_hash, PASSWORD)


def test_an_unknown_user_takes_as_long_as_a_known_one() -> None:
    passwords = Passwords()
    known = passwords.hash(PASSWORD)

    def seconds(password_hash: str | None) -> float:
        started = time.process_time()
        passwords.verify(password_hash, "wrong")
        return time.process_time() - started

    pairs = [(seconds(known), seconds(None)) for _ in range(15)]
    ratio = median(one for one, _ in pairs) / median(other for _, other in pairs)
    assert 0.5 < ratio < 2


def test_beyond_its_bound_it_is_busy_and_then_recovers() -> None:
    passwords = Passwords(concurrent=1, wait_seconds=0.001)

    def attempt(_number: int) -> str:
        try:
            return "hashed" if passwords.hash(PASSWORD) else ""
        except Unavailable as busy:
            return busy.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert set(outcomes) == {"hashed", "too_many_sign_ins"}
    assert attempt(0) == "hashed"
