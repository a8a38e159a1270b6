"""Too many failed sign-ins: by password, by link, by token."""

import time

import pytest
from django.test import Client
from limits import parse
from rest_framework.test import APIClient

from core import attempts
from core.attempts import FailedAttempts, failed_attempts
from core.errors import TooManyAttempts
from core.middleware import address_of
from core.operations.access import create_sign_in_link
from tests.factories import make_token, make_user
from tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db
SECRET = "a long enough secret"
ENDPOINTS = ["/api/v1/alerts", "/api/v1/ml/lifecycle/serve/churn/production/invocations"]


@pytest.fixture(autouse=True)
def few_are_borne(settings):
    settings.FAILED_SIGN_INS_PER_ADDRESS = parse("3/minute")
    settings.FAILED_SIGN_INS_PER_ACCOUNT = parse("5/minute")
    settings.FAILED_TOKENS_PER_ADDRESS = parse("3/minute")
    settings.WEB_WORKERS = 1


@pytest.fixture
def olga():
    user = make_user("operator", username="olga")
    user.set_password(SECRET)
    user.save()
    return user


@pytest.fixture
def redis_of_its_own():
    with RedisServer() as server:
        yield server


def try_password(password, username="olga", address="10.0.0.1"):
    return Client(REMOTE_ADDR=address).post("/sign-in", {"username": username, "password": password})


def try_token(secret, path=ENDPOINTS[0], address="10.0.0.1"):
    method = "get" if path == ENDPOINTS[0] else "post"
    client = APIClient(REMOTE_ADDR=address, headers={"Authorization": f"Bearer {secret}"})
    return getattr(client, method)(path)


def test_after_too_many_wrong_passwords_from_an_address_not_even_the_right_one_is_looked_at(olga):
    assert [try_password("wrong", username=f"name{n}").status_code for n in range(3)] == [200] * 3

    refused = try_password(SECRET)

    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert "Too many attempts to sign in failed. Try again in" in refused.content.decode()
    assert "sessionid" not in refused.cookies
    assert try_password(SECRET, address="10.0.0.2").status_code == 302


def test_an_account_is_guarded_from_wherever_it_is_tried(olga):
    for n in range(5):
        try_password("wrong", address=f"10.0.0.{n}")

    assert try_password(SECRET, address="10.0.1.1").status_code == 429
    assert try_password("wrong", username="somebody", address="10.0.1.1").status_code == 200


def test_signing_in_is_no_failed_attempt(olga):
    assert {try_password(SECRET).status_code for _ in range(5)} == {302}


def test_a_locked_account_is_open_to_a_one_time_link(olga):
    for n in range(5):
        try_password("wrong", address=f"10.0.0.{n}")

    assert Client().post(f"/sign-in/{create_sign_in_link(actor=None, user=olga)}").status_code == 302


def test_unknown_links_are_told_to_wait_and_good_ones_work(olga):
    client = Client()
    assert [client.get("/sign-in/link_guess").status_code for _ in range(4)] == [404, 404, 404, 429]
    refused = client.post("/sign-in/link_guess")
    assert (refused.status_code, int(refused["Retry-After"]) > 0) == (429, True)

    assert client.post(f"/sign-in/{create_sign_in_link(actor=None, user=olga)}").status_code == 302


@pytest.mark.parametrize("path", ENDPOINTS)
def test_unknown_tokens_are_told_to_wait(path):
    assert [try_token("guess", path).status_code for _ in range(3)] == [401] * 3

    refused = try_token("guess", path)

    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_attempts"
    assert int(refused["Retry-After"]) > 0
    assert try_token("guess", path, address="10.0.0.2").status_code == 401


def test_a_page_of_the_api_tells_to_wait_too():
    client = APIClient(headers={"Authorization": "Bearer guess", "Accept": "text/html"})
    answers = [client.get(ENDPOINTS[0]) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert "Too many attempts" in answers[-1].content.decode()


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_good_token_is_not_locked_out_by_a_neighbour_with_a_bad_one(path):
    secret = make_token(make_user())
    for _ in range(4):
        try_token("guess", path)

    assert try_token(secret, path).status_code in (200, 404)


@pytest.mark.slow
def test_the_web_processes_count_together_in_redis(settings, redis_of_its_own):
    settings.REDIS_URL = redis_of_its_own.url
    one, another = FailedAttempts(), FailedAttempts()
    key = attempts.of_address("10.0.0.1")

    for counter in (one, another, one):
        counter.note(key)

    with pytest.raises(TooManyAttempts):
        another.check(key)


@pytest.mark.slow
def test_without_redis_they_count_alone_and_nobody_is_kept_out(settings, redis_of_its_own):
    settings.REDIS_URL = redis_of_its_own.url
    counter = FailedAttempts()
    key = attempts.of_address("10.0.0.1")
    counter.note(key)
    redis_of_its_own.stop()

    counter.check(key)
    for _ in range(3):
        counter.note(key)
    with pytest.raises(TooManyAttempts):
        counter.check(key)


def test_without_redis_all_processes_together_bear_no_more_than_the_limit(settings):
    settings.WEB_WORKERS = 2
    settings.FAILED_SIGN_INS_PER_ADDRESS = parse("5/minute")
    key = attempts.of_address("10.0.0.1")
    borne = 0
    for process in (FailedAttempts(), FailedAttempts()):
        for _ in range(5):
            try:
                process.check(key)
            except TooManyAttempts:
                break
            process.note(key)
            borne += 1

    assert 0 < borne <= 5


def test_the_wait_that_is_told_is_long_enough(settings):
    settings.FAILED_SIGN_INS_PER_ADDRESS = parse("1/second")
    key = attempts.of_address("10.0.0.1")
    failed_attempts.note(key)
    with pytest.raises(TooManyAttempts) as refusal:
        failed_attempts.check(key)

    time.sleep(refusal.value.retry_after_seconds)

    failed_attempts.check(key)


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "address"),
    [
        (False, "203.0.113.7", "10.0.0.1"),
        (True, "203.0.113.7", "203.0.113.7"),
        (True, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (True, "203.0.113.7, 2001:db8::1", "2001:db8::1"),
        (True, "", "10.0.0.1"),
        (True, "203.0.113.7, nonsense", "10.0.0.1"),
    ],
)
def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_added(
    settings, rf, behind_proxy, forwarded, address
):
    settings.BEHIND_PROXY = behind_proxy
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded})

    assert address_of(request) == address
