"""Pictures of the search page, in the sizes of a phone and of a desk.

    python -m benchmarks.serving.pictures GALLERY QUERY STRANGER [--output docs]

GALLERY is a saved gallery, and QUERY and STRANGER are photographs. It takes what `tests/browser.py`
names: Chromium and selenium.
"""

import argparse
from pathlib import Path

from benchmarks.serving.galleries import server
from tests.browser import start, visit

# Name of the picture: width, height, which photograph, and whether it is dark.
VIEWS = {
    "search_page": (1280, 800, "query", False),
    "search_page_dark": (1280, 800, "query", True),
    "search_page_phone": (390, 844, "query", False),
    "search_page_phone_dark": (390, 844, "stranger", True),
    "search_page_unknown": (1280, 800, "stranger", False),
    "search_page_empty": (390, 844, None, False),
}


def search(driver, photograph):
    """Gives the page a photograph, and waits for the answer and its thumbnails."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.find_element("id", "file").send_keys(str(Path(photograph).absolute()))
    is_shown = (
        "const images = [...document.querySelectorAll('#hits img')];"
        "return images.length > 0 && images.every((x) => x.complete);"
    )
    WebDriverWait(driver, 30).until(lambda page: page.execute_script(is_shown))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("gallery")
    parser.add_argument("query")
    parser.add_argument("stranger")
    parser.add_argument("--output", type=Path, default="docs")
    parser.add_argument("--title", default="Search")
    args = parser.parse_args()
    driver = start()
    try:
        with server(Path(args.gallery).absolute(), title=args.title) as (_, address):
            for name, (width, height, which, dark) in VIEWS.items():
                visit(driver, address, width, height, dark)
                if which is not None:
                    search(driver, getattr(args, which))
                driver.save_screenshot(str(args.output / f"{name}.png"))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
