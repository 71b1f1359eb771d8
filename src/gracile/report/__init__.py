"""One page per run to check by eye: pictures with layers, tables, distributions, in a single file that needs no net."""

from gracile.report.charts import distribution_chart
from gracile.report.contents import Report, ReportCase, ReportLayer, ReportStill, ReportTable, worst_first
from gracile.report.curves import Curve, confusion_chart, curve_chart, reliability_chart
from gracile.report.landmark_sheet import landmark_layers
from gracile.report.layers import draw_overlay, result_layers
from gracile.report.links import relative_link
from gracile.report.page import write_report
from gracile.report.plane import Dot, bar_chart, course_chart, dot_chart, line_chart
from gracile.report.profiles import Profile, cord_chart, profile_chart
from gracile.report.timeline import TimeLine, spans, timeline_chart
from gracile.report.views import case_figures, case_layers, case_overlay, is_drawn
from gracile.report.volume_sheet import volume_layers

__all__ = [
    "Curve",
    "Dot",
    "Profile",
    "Report",
    "ReportCase",
    "ReportLayer",
    "ReportStill",
    "ReportTable",
    "TimeLine",
    "bar_chart",
    "case_figures",
    "case_layers",
    "case_overlay",
    "confusion_chart",
    "cord_chart",
    "course_chart",
    "curve_chart",
    "distribution_chart",
    "dot_chart",
    "draw_overlay",
    "is_drawn",
    "landmark_layers",
    "line_chart",
    "profile_chart",
    "relative_link",
    "reliability_chart",
    "result_layers",
    "spans",
    "timeline_chart",
    "volume_layers",
    "worst_first",
    "write_report",
]
