"""When a schedule is due, and what becomes of each due time: functions of values, without clock or I/O."""

from flowforge.kernel.schedules.cron import Cron
from flowforge.kernel.schedules.due import Due
from flowforge.kernel.schedules.policy import Plan, Policy, Standing, Verdict, plan
from flowforge.kernel.schedules.recurrence import Interval, Once, Recurrence

__all__ = ["Cron", "Due", "Interval", "Once", "Plan", "Policy", "Recurrence", "Standing", "Verdict", "plan"]
