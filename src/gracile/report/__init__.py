"""One page per run to check by eye: pictures with layers, tables, distributions, in a single file that needs no net."""

from gracile.report.charts import distribution_chart
from gracile.report.contents import Report, ReportCase, ReportLayer, worst_first
from gracile.report.layers import draw_overlay, result_layers
from gracile.report.page import write_report

__all__ = [
    "Report",
    "ReportCase",
    "ReportLayer",
    "distribution_chart",
    "draw_overlay",
    "result_layers",
    "worst_first",
    "write_report",
]
