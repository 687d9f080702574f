"""One self-contained HTML page with plots: nothing in it is fetched from anywhere.

`plot` draws SVG, `page` puts text, tables and plots together. Both are pure; colours come from
the page's style sheet, so that a reader sees light or dark as they prefer.
"""
