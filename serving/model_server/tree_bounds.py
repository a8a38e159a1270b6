"""Checks decision trees that came from a file before compiled code walks them.

scikit-learn follows the child and feature numbers stored in a tree without looking at their bounds, so a
crafted file could crash the process, read memory outside the arrays, or walk in a circle for ever (skops says
so of Tree and TreePredictor in its list of reasons for not trusting them). In every tree scikit-learn builds,
a child comes after its parent; that and the number of features is what is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad

LEAF = -1
FITTED = ("tree_", "estimators_", "_predictors")


def check_trees(model: Any) -> None:
    """Refuse a model holding a tree that points outside itself or its features. Raises CannotLoad."""
    checked: set[int] = set()
    for node in _objects(model):
        if not any(hasattr(node, fitted) for fitted in FITTED):
            continue  # an ensemble keeps the unfitted estimator its trees were cloned from
        if isinstance(node, BaseForest | BaseGradientBoosting):
            trees = list(np.ravel(np.asarray(node.estimators_, dtype=object)))
            features = min([_features(node), *map(_features, trees)])
        elif isinstance(node, BaseDecisionTree):
            trees, features = [node], _features(node)
        elif isinstance(node, BaseHistGradientBoosting):
            checked.update(_check_histogram_trees(node))
            continue
        else:
            continue
        for tree in trees:
            _check_tree(tree.tree_, features)
            checked.add(id(tree.tree_))
    _refuse_loose(model, checked)


def _check_tree(tree: Tree, features: int) -> None:
    inner = tree.children_left != LEAF
    parents = np.flatnonzero(inner)
    _require(tree.node_count > 0)
    for children in (tree.children_left[inner], tree.children_right[inner]):
        _require(_within(children, parents + 1, tree.node_count))
    _require(_within(tree.feature[inner], 0, min(features, tree.n_features)))


def _check_histogram_trees(model: Any) -> Iterator[int]:
    categorical = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    _require(len(categorical) == _features(model))
    for predictor in (tree for stage in model._predictors for tree in stage):
        nodes = predictor.nodes
        parents = np.flatnonzero(nodes["is_leaf"] == 0)
        split = nodes[parents]
        _require(len(nodes) > 0)
        for children in (split["left"], split["right"]):
            _require(_within(children.astype(np.int64), parents + 1, len(nodes)))
        _require(_within(split["feature_idx"], 0, len(categorical)))
        by_category = split[split["is_categorical"] != 0]
        _require(bool(np.all(categorical[by_category["feature_idx"]])))
        _require(_within(by_category["bitset_idx"], 0, len(predictor.raw_left_cat_bitsets)))
        yield id(predictor)


def _within(values: np.ndarray, lowest: Any, end: int) -> bool:
    return bool(np.all((values >= lowest) & (values < end)))


def _features(estimator: Any) -> int:
    return int(estimator.n_features_in_)


def _require(sound: bool) -> None:
    if not sound:
        raise CannotLoad(
            _(
                "A decision tree in the model file points outside itself; the file is damaged or crafted. "
                "Log the model again from where it was trained."
            )
        )


def _refuse_loose(model: Any, checked: set[int]) -> None:
    """A tree that no known estimator owns was not checked, so it must not be there."""
    for node in _objects(model):
        if isinstance(node, Tree | TreePredictor):
            _require(id(node) in checked)


def _objects(root: Any) -> Iterator[Any]:
    """Every object reachable through attributes and containers, each once."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, str | bytes | int | float | type(None)):
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list | tuple | set):
            waiting.extend(node)
        elif isinstance(node, np.ndarray):
            waiting.extend(node.ravel() if node.dtype == object else ())
        elif hasattr(node, "__dict__") and not isinstance(node, type):
            waiting.extend(vars(node).values())
