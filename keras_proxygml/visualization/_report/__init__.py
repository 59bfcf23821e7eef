"""How a report is made. This page explains the folder.

`inputs` brings arrays, paths and embedders into one form: images, class numbers and vectors. Items
are numbered: first the M test images, then the images of the training half. `findings` says what
the vectors show, as numbers of items. `thumbnails` reads each image once and packs small pictures
into sheets, in WebP, as large as the page's limit allows. `plane` places the items on the map.
`page` fills the templates.

Everything is inside one HTML file. Jinja2 escapes what people wrote, and the page's Content
Security Policy forbids every connection. The page draws with two libraries, which `vendor/` holds
unchanged with their licenses:

| library | draws | adds to the file |
| --- | --- | --- |
| uPlot 1.6.32 (MIT) | learning curves, the threshold's curve | 53 kB |
| D3 7.9.2 (ISC) | the map: zoom, pan and pinch, the nearest point, colors | 281 kB |

The sizes are those of the files in `vendor/`. The page's own scripts, style and text add 45 kB, the
size of `templates/`. The rest is data and thumbnails.

Other libraries were considered. Plotly's basic bundle draws scatter plots in SVG, which is slow for
10,000 points, and its other bundles need WebGL, which not every machine has. Observable Plot needs
D3 too, and draws in SVG. Bokeh numbers elements by a counter of the process, so equal input would
make unequal files.
"""
