"""Logs points of one metric with MLflow's client, and says on stdout after each batch how many are acknowledged."""

import sys
import time

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

BATCH = 100


def main(run: str, name: str, count: int) -> None:
    client = MlflowClient()
    for start in range(0, count, BATCH):
        points = [
            Metric(name, step / 7, 1_772_368_259_000 + step, step) for step in range(start, start + BATCH)
        ]
        log(client, run, points)
        sys.stdout.write(f"{start + BATCH}\n")
        sys.stdout.flush()


def log(client: MlflowClient, run: str, points: list[Metric]) -> None:
    """Log them, again when the answer broke off halfway: the client tries again by itself only if none had begun."""
    while True:
        try:
            return client.log_batch(run, metrics=points)
        except MlflowException as error:
            if "Connection broken" not in str(error):
                raise
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
