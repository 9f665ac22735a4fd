"""Which algorithms there are, for which task, and what each can be told. Plain data: both sides read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowforge.steps.ml import hyperparameters as of
from flowforge.steps.ml.hyperparameters import Properties

CLASSIFICATION: Final = "classification"
REGRESSION: Final = "regression"
TASKS: Final = (CLASSIFICATION, REGRESSION)
DEFAULT: Final = "xgboost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Algorithm:
    """One of them. A class is named as `module:class`, and imported by nobody but the process that trains."""

    name: str
    classifier: str | None = None
    regressor: str | None = None
    common: Properties = field(default_factory=dict)
    of_classification: Properties = field(default_factory=dict)
    of_regression: Properties = field(default_factory=dict)
    is_scaled: bool = False  # distances and penalties compare columns: they need one scale

    @property
    def tasks(self) -> tuple[str, ...]:
        found = {CLASSIFICATION: self.classifier, REGRESSION: self.regressor}
        return tuple(task for task in TASKS if found[task])

    def class_for(self, task: str) -> str:
        """`module:class`. Raises LookupError where it is not made for the task."""
        found = self.classifier if task == CLASSIFICATION else self.regressor
        if found is None:
            raise LookupError(f"{self.name} does no {task}")
        return found

    def schema(self, task: str | None = None) -> dict[str, Any]:
        """JSON Schema of its hyper-parameters; without a task, of all that any of its tasks could take."""
        own = [self.of_classification if each == CLASSIFICATION else self.of_regression for each in self.tasks]
        if task is not None:
            own = [self.of_classification if task == CLASSIFICATION else self.of_regression]
        properties: dict[str, Any] = dict(self.common)
        for name in dict.fromkeys(name for one in own for name in one):
            found = [one[name] for one in own if name in one]
            properties[name] = found[0] if all(each == found[0] for each in found) else {"anyOf": found}
        return {"type": "object", "additionalProperties": False, "properties": properties}


_ALL: Final = (
    Algorithm(
        name="xgboost",
        classifier="xgboost:Booster",
        regressor="xgboost:Booster",
        common=of.XGBOOST,
        of_classification=of.XGBOOST_CLASSIFICATION,
        of_regression=of.XGBOOST_REGRESSION,
    ),
    Algorithm(
        name="random_forest",
        classifier="sklearn.ensemble:RandomForestClassifier",
        regressor="sklearn.ensemble:RandomForestRegressor",
        common=of.FOREST,
        of_classification=of.FOREST_CLASSIFICATION,
        of_regression=of.FOREST_REGRESSION,
    ),
    Algorithm(
        name="extra_trees",
        classifier="sklearn.ensemble:ExtraTreesClassifier",
        regressor="sklearn.ensemble:ExtraTreesRegressor",
        common=of.FOREST,
        of_classification=of.FOREST_CLASSIFICATION,
        of_regression=of.FOREST_REGRESSION,
    ),
    Algorithm(
        name="gradient_boosting",
        classifier="sklearn.ensemble:GradientBoostingClassifier",
        regressor="sklearn.ensemble:GradientBoostingRegressor",
        common=of.GRADIENT_BOOSTING,
        of_classification=of.GRADIENT_BOOSTING_CLASSIFICATION,
        of_regression=of.GRADIENT_BOOSTING_REGRESSION,
    ),
    Algorithm(
        name="hist_gradient_boosting",
        classifier="sklearn.ensemble:HistGradientBoostingClassifier",
        regressor="sklearn.ensemble:HistGradientBoostingRegressor",
        common=of.HISTOGRAM_BOOSTING,
        of_classification=of.HISTOGRAM_BOOSTING_CLASSIFICATION,
        of_regression=of.HISTOGRAM_BOOSTING_REGRESSION,
    ),
    Algorithm(
        name="decision_tree",
        classifier="sklearn.tree:DecisionTreeClassifier",
        regressor="sklearn.tree:DecisionTreeRegressor",
        common=of.TREE,
        of_classification=of.TREE_CLASSIFICATION,
        of_regression=of.TREE_REGRESSION,
    ),
    Algorithm(
        name="k_neighbors",
        classifier="sklearn.neighbors:KNeighborsClassifier",
        regressor="sklearn.neighbors:KNeighborsRegressor",
        common=of.NEIGHBORS,
        is_scaled=True,
    ),
    Algorithm(
        name="logistic_regression",
        classifier="sklearn.linear_model:LogisticRegression",
        common=of.LOGISTIC,
        is_scaled=True,
    ),
    Algorithm(name="naive_bayes", classifier="sklearn.naive_bayes:GaussianNB", common=of.NAIVE_BAYES),
    Algorithm(
        name="linear_regression",
        regressor="sklearn.linear_model:LinearRegression",
        common=of.LINEAR,
        is_scaled=True,
    ),
    Algorithm(name="ridge", regressor="sklearn.linear_model:Ridge", common=of.RIDGE, is_scaled=True),
    Algorithm(name="lasso", regressor="sklearn.linear_model:Lasso", common=of.LASSO, is_scaled=True),
    Algorithm(name="elastic_net", regressor="sklearn.linear_model:ElasticNet", common=of.ELASTIC_NET, is_scaled=True),
)
ALGORITHMS: Final[Mapping[str, Algorithm]] = {one.name: one for one in _ALL}
