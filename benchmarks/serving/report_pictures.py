"""Pictures of a page, as a phone and a computer show it, for README and docs.

    python -m benchmarks.serving.report_pictures demo/report.html --output docs

It takes headless Chromium and selenium, as the tests of pages do (`tests/browser.py`). The files
are called report-390-queries.png and so on, after the page, its width in pixels, and the part. It
prints how long the map takes to draw a frame, and what axe-core and the console say.
"""

import argparse
import time
from pathlib import Path

from tests.browser import console_errors, serious_faults, start, visit

SIZES = {390: 844, 1280: 900}
FRAMES = """
const start = performance.now();
for (let i = 0; i < 60; i++) { zoom.scaleBy(surface, i < 30 ? 1.05 : 1 / 1.05); draw(); }
context.getImageData(0, 0, 1, 1);
return [points.length, (performance.now() - start) / 60];
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", help="a file, or an address")
    parser.add_argument("--output", type=Path, default=Path("."))
    parser.add_argument("--parts", nargs="*", default=["metrics", "queries", "map", "threshold"])
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    is_file = Path(args.page).is_file()
    address = Path(args.page).resolve().as_uri() if is_file else args.page
    driver = start()
    try:
        for width, height in SIZES.items():
            page = visit(driver, address, width, height, args.dark)
            time.sleep(1)
            for part in args.parts:
                name = f"{Path(args.page).stem}-{width}-{part}{'-dark' * args.dark}.png"
                _photograph(page, part, args.output / name)
                print(args.output / name)
            if page.execute_script("return typeof zoom !== 'undefined'"):
                points, milliseconds = page.execute_script(FRAMES)
                print(f"{width} px: {points:,} points in {milliseconds:.1f} ms a frame")
            print(f"{width} px: console {console_errors(page)}, axe {serious_faults(page)}")
    finally:
        driver.quit()


def _photograph(page, part, path):
    page.execute_script(
        "document.documentElement.style.scrollBehavior = 'auto';"
        "document.getElementById(arguments[0])?.scrollIntoView()",
        part,
    )
    time.sleep(0.5)
    page.save_screenshot(str(path))


if __name__ == "__main__":
    main()
