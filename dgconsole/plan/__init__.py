"""Settings, spec and targets checked against each other: a frozen plan, or every problem at once."""

from dgconsole.plan.structs import BundleHeader, BundleItem, ColumnPlan, Plan, TablePlan
from dgconsole.plan.targets import Targets, resolve_targets

__all__ = [
    "BundleHeader",
    "BundleItem",
    "ColumnPlan",
    "Plan",
    "TablePlan",
    "Targets",
    "resolve_targets",
]
