"""Figures as SVG, and one self-contained HTML page that holds them; imports matplotlib."""

from ncapps.report.canvas import save_png as save_png
from ncapps.report.confusion import confusion_figure as confusion_figure
from ncapps.report.confusion import plot_confusion as plot_confusion
from ncapps.report.curves import collapse_figure as collapse_figure
from ncapps.report.curves import plot_collapse as plot_collapse
from ncapps.report.gallery import plot_gallery as plot_gallery
from ncapps.report.geometry import geometry_figure as geometry_figure
from ncapps.report.geometry import plot_geometry as plot_geometry
from ncapps.report.html import Page as Page
from ncapps.report.pareto import ParetoPoint as ParetoPoint
from ncapps.report.pareto import pareto_figure as pareto_figure
from ncapps.report.pareto import plot_pareto as plot_pareto
from ncapps.report.parts import Figure as Figure
from ncapps.report.parts import Section as Section
from ncapps.report.parts import Table as Table
from ncapps.report.parts import Tile as Tile
from ncapps.report.quickstart import quickstart_page as quickstart_page
from ncapps.report.rank import rank_page as rank_page
from ncapps.report.roc import plot_roc as plot_roc
from ncapps.report.roc import roc_figure as roc_figure
from ncapps.report.scores import plot_scores as plot_scores
from ncapps.report.scores import scores_figure as scores_figure
from ncapps.report.tradeoff import plot_tradeoff as plot_tradeoff
from ncapps.report.tradeoff import tradeoff_figure as tradeoff_figure
