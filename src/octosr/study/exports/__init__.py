"""The report as files to work with: CSV, LaTeX and Markdown tables, SVG and PNG figures, one JSON with everything."""

from octosr.study.exports.write import Exported, export, report_json

__all__ = ["Exported", "export", "report_json"]
