"""Plots: data files to charts in the language of Vega-Lite, and a page that shows them."""
