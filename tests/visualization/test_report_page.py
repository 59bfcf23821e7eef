"""The report in a browser: what a person can do with it."""

import time

import numpy as np
import pytest
from browser import console_errors, serious_faults

from keras_proxygml.datasets import glyphs
from keras_proxygml.visualization import report

pytest.importorskip("jinja2")
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("width", [390, 1280])]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Characters, embedded by their blurred pixels."""
    _, (images, labels) = glyphs()
    images, labels = images[:600], labels[:600]
    vectors = images.reshape(600, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(600, -1) / 255
    path = report(
        tmp_path_factory.mktemp("report") / "report.html",
        vectors - vectors.mean(axis=0),
        images,
        labels,
        class_names=[f"<i>文字</i> {i}" for i in range(50)],
        baselines={"mirrored": vectors[:, ::-1]},
        history={"loss": [2.0, 1.0, 0.5], "val_recall@1": [0.5, 0.6, 0.7]},
    )
    return path.as_uri()


def wait(page, script, seconds=5):
    """Waits until a script returns something true."""
    end = time.monotonic() + seconds
    while not (found := page.execute_script(f"return {script}")):
        assert time.monotonic() < end, script
        time.sleep(0.05)
    return found


def press(page, selector):
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def choose(page, name, value):
    page.execute_script(
        "const node = document.getElementById(arguments[0]); node.value = arguments[1];"
        "node.dispatchEvent(new Event('change'))",
        name,
        value,
    )


def drawn(page):
    """How many pixels of the map have been drawn on."""
    return page.execute_script(
        "const c = document.getElementById('map-canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return d.filter((v, i) => i % 4 === 3 && v > 0).length"
    )


def test_opens_without_errors_and_fits(open_page, address, width):
    page = open_page(address, width)
    wait(page, "document.querySelectorAll('#wall > li').length === 20")
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    charts = page.execute_script(
        "return [...document.querySelectorAll('.chart canvas')].map(c => c.width)"
    )
    assert len(charts) == 3
    assert min(charts) > 250
    assert page.execute_script("return document.querySelectorAll('i:not(.track i)').length") == 0
    assert console_errors(page) == []
    requests = page.execute_script(
        "return performance.getEntriesByType('resource').map(x => x.name)"
    )
    assert [x for x in requests if not x.startswith(("blob:", "data:"))] == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_fault(open_page, address, width, dark):
    page = open_page(address, width, dark=dark)
    wait(page, "document.querySelectorAll('#threshold-examples .pic').length")
    assert serious_faults(page) == []
    press(page, "#wall .query .pic")
    assert page.execute_script("return document.getElementById('viewer').open")
    assert serious_faults(page) == []


def test_filters_the_wall(open_page, address, width):
    page = open_page(address, width)
    assert "20 of 600" in page.find_element("id", "wall-count").text
    choose(page, "wall-class", "7")
    names = page.execute_script(
        "return [...document.querySelectorAll('#wall .query strong')].map(x => x.textContent)"
    )
    assert names == ["<i>文字</i> 7"] * 12
    choose(page, "wall-kind", "wrong")
    wrong = len(page.find_elements("css selector", "#wall > li"))
    choose(page, "wall-kind", "right")
    assert wrong + len(page.find_elements("css selector", "#wall > li")) == 12
    choose(page, "wall-class", "-1")
    choose(page, "wall-kind", "all")
    press(page, "#wall-more")
    assert len(page.find_elements("css selector", "#wall > li")) == 40


def test_map_zooms_and_shows_what_is_under_the_pointer(open_page, address, width):
    from selenium.webdriver import ActionChains

    page = open_page(address, width)
    canvas = page.find_element("id", "map-canvas")
    page.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas
    )
    whole = wait(page, "transform.k")
    assert whole == 1
    assert drawn(page) > 500
    place = page.execute_script("return screen(points[5])")
    box = canvas.rect
    x, y = (int(a - b / 2) for a, b in zip(place, (box["width"], box["height"]), strict=True))
    ActionChains(page).move_to_element_with_offset(canvas, x, y).perform()
    wait(page, "!document.getElementById('map-tip').hidden")
    assert "文字" in page.find_element("id", "map-tip").text
    press(page, "#map-in")
    wait(page, "transform.k > 1.5")
    press(page, "#map-all")
    wait(page, "transform.k === 1")
    canvas.send_keys("+++")
    wait(page, "transform.k > 2")
    before = page.execute_script("return transform.x")
    canvas.send_keys("\ue012")  # the left arrow
    assert wait(page, "transform.x") > before
    assert "文字" in page.find_element("id", "map-text").text
    assert console_errors(page) == []


def test_threshold_slides(open_page, address, width):
    page = open_page(address, width)
    slider = page.find_element("id", "threshold-slider")
    counts = []
    for value in ("0.8", "0.95"):
        page.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            slider,
            value,
        )
        shown = [page.find_element("id", f"outcome-{x}").text for x in ("right", "strangers")]
        counts.append([int(text.split()[0]) for text in shown])
    best = np.array(page.execute_script("return data.threshold.best")) / 10_000
    right = best[0] > best[1]
    expected = [[(best[0][right] >= t).sum(), (best[1] >= t).sum()] for t in (0.8, 0.95)]
    assert counts == np.array(expected).tolist()
    assert counts[0][1] > counts[1][1]
    before = page.find_element("id", "threshold-value").text
    slider.send_keys("\ue012\ue012")
    assert page.find_element("id", "threshold-value").text != before
    wait(page, "document.querySelectorAll('#threshold-examples .pic').length > 10")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A report of 10,000 images."""
    vectors = np.random.default_rng(0).standard_normal((10_000, 32)).astype("float32")
    images = np.zeros((10_000, 8, 8), "uint8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_proxygml.visualization._report.plane.MOST", 200)
        path = tmp_path_factory.mktemp("large") / "report.html"
        return report(path, vectors, images, np.arange(10_000) // 10)


def test_map_moves_smoothly(open_page, large, width):
    assert large.stat().st_size < 15e6
    page = open_page(large.as_uri(), width)
    took = page.execute_script(
        "const start = performance.now();"
        "for (let i = 0; i < 20; i++) { zoom.scaleBy(surface, i < 10 ? 1.1 : 0.9); draw(); }"
        "context.getImageData(0, 0, 1, 1); return (performance.now() - start) / 20"
    )
    assert took < 100  # milliseconds a frame, without a GPU, on a busy machine
