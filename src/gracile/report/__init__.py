"""One page per run to check by eye: pictures with layers, tables, distributions, in a single file that needs no net."""

from gracile.report.charts import distribution_chart
from gracile.report.contents import Report, ReportCase, ReportLayer, ReportTable, worst_first
from gracile.report.curves import Curve, confusion_chart, curve_chart, reliability_chart
from gracile.report.layers import draw_overlay, result_layers
from gracile.report.page import write_report
from gracile.report.plane import Dot, bar_chart, course_chart, dot_chart

__all__ = [
    "Curve",
    "Dot",
    "Report",
    "ReportCase",
    "ReportLayer",
    "ReportTable",
    "bar_chart",
    "confusion_chart",
    "course_chart",
    "curve_chart",
    "distribution_chart",
    "dot_chart",
    "draw_overlay",
    "reliability_chart",
    "result_layers",
    "worst_first",
    "write_report",
]
