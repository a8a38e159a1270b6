"""Housekeeping that runs by itself."""

from celery import shared_task

from serving.operations import traffic


@shared_task(name="serving.forget_old_requests")
def forget_old_requests() -> None:
    traffic.forget_old_requests()
