"""The engine in virtual time: when every job of a plan would start. The arithmetic and the order of the scripts, without Redis or a clock."""

from runner.simulation.drain import JobGroup, simulate
from runner.simulation.report import Drain, LimitReport, TenantReport

__all__ = ["Drain", "JobGroup", "LimitReport", "TenantReport", "simulate"]
