"""Run as a process beside a stack, with its settings: sends every wake-up of a deployment twice more."""

import sys
import time

import django

# As often as the platform's own sweep.
EVERY_SECONDS = 2.0


def main() -> None:
    django.setup()
    from lifecycle.models import Deployment
    from lifecycle.operations.deployments import ADVANCE
    from mlops_site.celery import app

    sent = 0
    while True:
        for deployment_id in Deployment.objects.in_progress().values_list("pk", flat=True):
            for _ in range(2):
                app.send_task(ADVANCE, args=[deployment_id])
                sent += 1
        sys.stdout.write(f"{sent}\n")
        sys.stdout.flush()
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
