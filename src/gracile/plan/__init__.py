"""From a data set to a recipe: what the data are, what may be tried, what this machine has time for, and why."""

from gracile.plan.fingerprint import Fingerprint, take_fingerprint
from gracile.plan.planning import Plan, make_plan

__all__ = ["Fingerprint", "Plan", "make_plan", "take_fingerprint"]
