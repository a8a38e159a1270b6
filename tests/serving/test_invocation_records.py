"""The prediction endpoint: what is noted of a request."""

import json

import pytest
from django.test import Client

from tests.factories import make_token, make_user
from tests.serving.invocations import call, logged, make_caller, make_target

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]


@pytest.mark.parametrize(("header", "rows"), [({"X-Row-Count": 7}, 7), ({}, 0), ({"X-Row-Count": "-3"}, 0)])
def test_rows_are_what_the_model_process_counted(start_process, header, rows):
    process = start_process()
    process.answer = (200, b"{}", header)
    make_target(process.address)

    call(make_caller())

    assert [log.rows for log in logged()] == [rows]


def test_who_called_is_noted(start_process):
    make_target(start_process().address)
    user = make_user()
    call(Client(headers={"Authorization": f"Bearer {make_token(user)}"}))
    assert [log.user_id for log in logged()] == [user.pk]


def test_sampled_requests_keep_input_and_output(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    make_target(start_process().address)

    call(make_caller(), b'{"inputs": [42]}')

    (log,) = logged()
    assert (log.input, log.output) == ('{"inputs": [42]}', '{"predictions": [1]}')


def test_without_sampling_neither_is_kept(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 0.0
    make_target(start_process().address)
    call(make_caller())
    (log,) = logged()
    assert (log.input, log.output) == ("", "")


def test_refused_requests_are_not_sampled(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    process = start_process()
    process.answer = (400, b'{"code": "invalid", "detail": "No."}', {})
    make_target(process.address)
    call(make_caller())
    (log,) = logged()
    assert (log.input, log.output) == ("", "")


def test_a_sample_is_bounded_and_any_bytes_become_text(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    process = start_process()
    process.answer = (200, json.dumps({"predictions": ["y" * 100_000]}).encode(), {})
    make_target(process.address)

    call(make_caller(), b"\0\xff" + b"x" * 100_000)

    (log,) = logged()
    assert len(log.input.encode()) <= 2 * 64 * 1024
    assert log.input.startswith("\ufffd\ufffdx")
    assert len(log.output) == 64 * 1024
