"""Candidate models on real data: the breast cancer data set that ships with scikit-learn.

Wolberg, Mangasarian, Street, Street: "Breast Cancer Wisconsin (Diagnostic)", UCI Machine Learning Repository, 1993:
569 tumours, 30 measurements each, benign (1) or malignant (0).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import sklearn
import skops
from mlflow.models import infer_signature
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 7
# skops stores data, not code. scikit-learn keeps a tree's nodes in a compiled type of its own, which skops loads only
# when it is named; the platform's own list of reviewed types has the last word when the model is served.
TREE_TYPES = [
    "sklearn.tree._tree.Tree",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
]


@dataclass
class Candidate:
    """A trained model with what is logged of it."""

    name: str
    model: Any
    parameters: dict[str, Any]
    metrics: dict[str, float]
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Data:
    train: pd.DataFrame
    train_labels: pd.Series
    test: pd.DataFrame
    test_labels: pd.Series


def load() -> Data:
    """The data, split 3 : 1 with the classes' shares kept."""
    features, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    train, test, train_labels, test_labels = train_test_split(
        features, labels, test_size=0.25, stratify=labels, random_state=SEED
    )
    return Data(train=train, train_labels=train_labels, test=test, test_labels=test_labels)


def train_candidates(data: Data) -> list[Candidate]:
    """A linear baseline and two challengers, each judged on the rows it has not seen."""
    baseline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    forest = RandomForestClassifier(n_estimators=100, max_depth=6, random_state=SEED)
    boosting = GradientBoostingClassifier(n_estimators=60, learning_rate=0.1, max_depth=3, random_state=SEED)
    candidates = [
        _fit("logistic regression", baseline, {"C": 0.1, "scaler": "standard"}, data),
        _fit("random forest", forest, {"n_estimators": 100, "max_depth": 6}, data),
        _fit("gradient boosting", boosting, {"n_estimators": 60, "learning_rate": 0.1, "max_depth": 3}, data),
    ]
    candidates[2].steps = _boosting_history(boosting, data)
    return candidates


def save(candidate: Candidate, data: Data, folder: Path) -> None:
    """Write the model as MLflow does, with its signature and an input example."""
    predictions = candidate.model.predict(data.test)
    mlflow.sklearn.save_model(
        candidate.model,
        folder,
        serialization_format="skops",
        skops_trusted_types=TREE_TYPES,
        signature=infer_signature(data.test, predictions),
        input_example=data.test.head(3),
        # Said rather than inferred: MLflow infers by loading the model once more in a process of its own.
        pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"skops=={skops.__version__}"],
    )


def _fit(name: str, model: Any, parameters: dict[str, Any], data: Data) -> Candidate:
    model.fit(data.train, data.train_labels)
    predicted = model.predict(data.test)
    probability = model.predict_proba(data.test)[:, 1]
    metrics = {
        "accuracy": accuracy_score(data.test_labels, predicted),
        "f1": f1_score(data.test_labels, predicted),
        "auc": roc_auc_score(data.test_labels, probability),
        "log_loss": log_loss(data.test_labels, probability),
    }
    logged = {"estimator": name, "seed": SEED, **parameters}
    return Candidate(name, model, logged, {key: float(value) for key, value in metrics.items()})


def _boosting_history(model: GradientBoostingClassifier, data: Data) -> list[dict[str, Any]]:
    """The loss on both halves after every tree: what boosting really did, step by step."""
    history = []
    parts = {"train": (data.train, data.train_labels), "test": (data.test, data.test_labels)}
    for dataset, (rows, labels) in parts.items():
        for step, probability in enumerate(model.staged_predict_proba(rows)):
            loss = float(log_loss(labels, np.asarray(probability)))
            history.append({"metric_name": "log_loss", "dataset": dataset, "step": step, "value": loss})
    return history
