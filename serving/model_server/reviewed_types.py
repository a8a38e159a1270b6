"""The types a skops file may hold beyond what skops itself trusts.

A skops file is a JSON description of objects and their state, built without pickle; what decides whether
loading it is safe is which types may be built. The list a model file carries about itself
(`skops_trusted_types`) was written by whoever wrote the file and is never read. A type is on this list when
building it and giving it any state runs no code of the file's author. Types whose content native code indexes
without checks are on it only because `tree_bounds.check_trees` reads that content before the first
prediction.

That is a bound on code execution, not on memory use or crashes in native code: those end one limited model
process.
"""

from __future__ import annotations

TREES = "Arrays of one decision tree; their bounds are checked before use."
NUMBERS = "Numbers and arrays as plain Python attributes."
HOLDER = "Holds other objects of the file, each judged by its own type."
FOR_FITTING = "Used while fitting only; the file names it, and predicting does not call it."

REVIEWED_TYPES: dict[str, str] = {
    "numpy.dtype": NUMBERS,
    "sklearn._loss.loss.HalfTweedieLoss": NUMBERS,
    "sklearn._loss.loss.HalfTweedieLossIdentity": NUMBERS,
    "sklearn.calibration._CalibratedClassifier": HOLDER,
    "sklearn.calibration._SigmoidCalibration": NUMBERS,
    "sklearn.cluster._bisect_k_means._BisectingTree": NUMBERS,
    "sklearn.cluster._kmeans._kmeans_single_lloyd": FOR_FITTING,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": TREES,
    "sklearn.feature_selection._mutual_info.mutual_info_classif": FOR_FITTING,
    "sklearn.feature_selection._mutual_info.mutual_info_regression": FOR_FITTING,
    "sklearn.feature_selection._univariate_selection.chi2": FOR_FITTING,
    "sklearn.feature_selection._univariate_selection.f_classif": FOR_FITTING,
    "sklearn.feature_selection._univariate_selection.f_regression": FOR_FITTING,
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace": NUMBERS,
    "sklearn.gaussian_process.kernels.CompoundKernel": HOLDER,
    "sklearn.gaussian_process.kernels.ConstantKernel": NUMBERS,
    "sklearn.gaussian_process.kernels.DotProduct": NUMBERS,
    "sklearn.gaussian_process.kernels.ExpSineSquared": NUMBERS,
    "sklearn.gaussian_process.kernels.Exponentiation": HOLDER,
    "sklearn.gaussian_process.kernels.Matern": NUMBERS,
    "sklearn.gaussian_process.kernels.Product": HOLDER,
    "sklearn.gaussian_process.kernels.RBF": NUMBERS,
    "sklearn.gaussian_process.kernels.RationalQuadratic": NUMBERS,
    "sklearn.gaussian_process.kernels.Sum": HOLDER,
    "sklearn.gaussian_process.kernels.WhiteKernel": NUMBERS,
    "sklearn.metrics._scorer._PassthroughScorer": HOLDER,
    "sklearn.model_selection._split.KFold": FOR_FITTING,
    "sklearn.model_selection._split.StratifiedKFold": FOR_FITTING,
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer": FOR_FITTING,
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer": FOR_FITTING,
    "sklearn.tree._tree.Tree": TREES,
    "sklearn.utils._bunch.Bunch": HOLDER,
}
