"""What the example paths of the schema lead to."""

from typing import Any

from tests.everything import make_everything


def make_seeds() -> dict[str, dict[str, Any]]:
    """Path parameters that lead to something, by the tag of the operations they are for."""
    made = make_everything()
    name = made.experiment.name
    return {
        "Experiments": {"name": name},
        "Runs": {"run_id": made.run.run_id, "path": "model/MLmodel"},
        "Model registry": {
            "model_name": name,
            "version": "1",
            "item_id": made.checked_item.pk,
            "alias": "champion",
        },
        "Deployments": {"id": made.deployment.pk},
        "Drift": {"id": made.drift.pk},
        "Alerts": {"id": made.alert.pk},
        "Access": {"id": made.allowance.pk},
        "Predictions": {"model_name": name, "environment": "development"},
    }
