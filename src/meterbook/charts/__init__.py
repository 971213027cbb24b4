"""Charts: plain rows in, a Plotly figure out, as dicts; `web/static/charts.js` draws them."""
