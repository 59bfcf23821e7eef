"""Headless Chromium for tests of pages, and axe-core, which finds barriers for people.

It takes Debian's packages `chromium` and `chromium-driver`, and the Python packages `selenium` and
`axe-core-python`. Tests are skipped where one is absent. `AXE_CORE=…/axe.min.js` names another
version of axe-core, such as that of npm.

    def test_page(open_page):
        page = open_page("file:///tmp/report.html", width=390)
        assert page.title == "Report"
        assert console_errors(page) == []
        assert serious_faults(page) == []
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root can't use
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


@pytest.fixture(scope="session")
def chromium():
    """A running browser without a page, a `selenium.webdriver.Chrome`."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium or chromedriver is not installed")
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium):
    """A function that opens an address in the browser: `open_page(url, width, height, dark)`."""

    def opened(url, width=1280, height=900, dark=False):
        return visit(chromium, url, width, height, dark)

    yield opened
    chromium.get("about:blank")
    chromium.get_log("browser")  # which empties it


def start():
    """Starts the browser."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    return webdriver.Chrome(options=options, service=service)


def visit(driver, url, width=1280, height=900, dark=False):
    """Opens an address in a window of some size, in CSS pixels, and returns the driver."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(url)
    return driver


def console_errors(driver):
    """Errors and warnings that the page wrote to the console since the last call."""
    return [x for x in driver.get_log("browser") if x["level"] in ("SEVERE", "WARNING")]


def serious_faults(driver):
    """What axe-core finds serious or critical: `[(rule, [HTML of each element])]`."""
    driver.execute_script(_axe())
    found = driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    serious = [x for x in found["violations"] if x["impact"] in ("serious", "critical")]
    return [(x["id"], [node["html"][:300] for node in x["nodes"]]) for x in serious]


def _axe():
    if "AXE_CORE" in os.environ:
        return Path(os.environ["AXE_CORE"]).read_text()
    package = importlib.util.find_spec("axe_core_python")
    if package is None:
        pytest.skip("axe-core-python is not installed")
    return Path(package.origin).with_name("axe.min.js").read_text()
