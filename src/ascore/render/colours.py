"""Colours of algorithms in all pictures and pages."""

# Okabe-Ito palette, for colour-blind readers; its yellow is too light for lines.
COLOURS = {
    "as": "#0072B2",
    "ippo": "#D55E00",
    "cppo": "#000000",
    "vps": "#E69F00",
    "vs": "#CC79A7",
    "ps": "#009E73",
}
OTHER = "#56B4E9"
