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
| uPlot 1.6.32 (MIT) | learning curves, the threshold's curve | 54 kB |
| D3 7.9.2 (ISC) | the map: zoom, pan and pinch, the nearest point, colors | 281 kB |

The page's own script, style and text add about 40 kB. The rest is data: about 250 bytes an image,
and the thumbnails.

Other libraries were considered. Plotly's basic bundle adds 1.1 MB and draws scatter plots in SVG,
which is slow for 10,000 points. Its other bundles need WebGL, which not every machine has.
Observable Plot needs D3 too, and draws in SVG. Apache ECharts adds about 1 MB. Bokeh's Python
package contains its scripts, about 1 MB, but it numbers elements by a counter of the process, so
equal input would make unequal files.
"""
