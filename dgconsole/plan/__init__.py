"""Settings, spec and targets checked against each other: a frozen plan, or every problem at once."""

from dgconsole.plan.bundle import bundle_items, read_bundle
from dgconsole.plan.make import make_plan
from dgconsole.plan.structs import BundleHeader, BundleItem, ColumnPlan, Plan, TablePlan
from dgconsole.plan.targets import Targets, configured_targets, resolve_targets

__all__ = [
    "BundleHeader",
    "BundleItem",
    "ColumnPlan",
    "Plan",
    "TablePlan",
    "Targets",
    "bundle_items",
    "configured_targets",
    "make_plan",
    "read_bundle",
    "resolve_targets",
]
