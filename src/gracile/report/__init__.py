"""One page per run to check by eye: pictures with layers, tables, distributions, in a single file that needs no net."""

from gracile.report.charts import distribution_chart
from gracile.report.contents import Report, ReportCase, ReportLayer, ReportStill, ReportTable, worst_first
from gracile.report.curves import Curve, confusion_chart, curve_chart, reliability_chart
from gracile.report.layers import draw_overlay, result_layers
from gracile.report.links import relative_link
from gracile.report.page import write_report
from gracile.report.timeline import TimeLine, spans, timeline_chart

__all__ = [
    "Curve",
    "Report",
    "ReportCase",
    "ReportLayer",
    "ReportStill",
    "ReportTable",
    "TimeLine",
    "confusion_chart",
    "curve_chart",
    "distribution_chart",
    "draw_overlay",
    "relative_link",
    "reliability_chart",
    "result_layers",
    "spans",
    "timeline_chart",
    "worst_first",
    "write_report",
]
