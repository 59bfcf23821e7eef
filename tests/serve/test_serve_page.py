"""The page in a browser, on a phone and on a desk: what people drop, and what they see then."""

import base64
import contextlib
import threading
import time

import numpy as np
import pytest
from browser import console_errors, serious_faults
from colored import mean_color, picture

from keras_proxygml.search import Gallery
from keras_proxygml.serve import make_app
from keras_proxygml.serve.addresses import listen
from keras_proxygml.serve.server import make_server

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
SIZES = {"phone": 390, "desk": 1280}
TOKEN = "correct-horse-battery"
# Hands a file to the page as a browser does when somebody drops or pastes it.
EVENT = """
const [kind, name, data, type] = arguments;
const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
const transfer = new DataTransfer();
if (name) transfer.items.add(new File([bytes], name, { type }));
const event = kind === "paste"
  ? new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true, cancelable: true })
  : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
document.getElementById("drop").dispatchEvent(event);
"""


class Page:
    """The page in the browser, as a person sees it."""

    def __init__(self, driver):
        self.driver = driver

    def hand(self, contents, kind="drop", name="a.png", type="image/png"):
        data = base64.b64encode(contents).decode()
        self.driver.execute_script(EVENT, kind, name, data, type)
        return self

    def text(self, id):
        """What is visible of an element."""
        return self.driver.find_element("id", id).text

    def wait(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.driver.find_element("tag name", "body").text
            time.sleep(0.05)

    def answer(self):
        """Waits for the answer: the name, the explanation and the labels of the cards."""
        self.wait(lambda: self.text("name"))
        cards = self.driver.find_elements("css selector", "#hits .label")
        return self.text("name"), self.text("detail"), [card.text for card in cards]

    def problem(self):
        """Waits for a message, and checks that nothing else is claimed."""
        self.wait(lambda: self.text("problem"))
        assert self.text("name") == ""
        assert not self.driver.find_elements("css selector", "#hits li")
        return self.text("problem")

    def is_clean(self, allowed=()):
        """Nothing overflows the window, the console is empty, and axe-core finds no barrier."""
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.driver.execute_script(width) == 0
        errors = [x["message"] for x in console_errors(self.driver)]
        assert [x for x in errors if not any(status in x for status in allowed)] == []
        assert serious_faults(self.driver) == []


@contextlib.contextmanager
def run(app):
    """Serves an app in a thread, and gives its address."""
    with listen("127.0.0.1", 0) as connection:
        server = make_server(app)
        thread = threading.Thread(target=server.run, args=([connection],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{connection.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def address(gallery):
    with run(make_app(gallery, title="Colors")) as address:
        yield address


@pytest.fixture(params=SIZES)
def page(request, open_page, address):
    return Page(open_page(address, SIZES[request.param]))


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted(page, kind):
    page.is_clean()
    name, detail, labels = page.hand(picture((245, 25, 12)), kind).answer()
    assert name == "red"
    assert page.text("kind") == "Known"
    assert detail.startswith("Similarity 1.00. A known picture has ")
    assert len(labels) == 12
    assert labels[:4] == ["red"] * 4
    loaded = "return [...document.querySelectorAll('#hits img')].every((x) => x.naturalWidth)"
    page.wait(lambda: page.driver.execute_script(loaded))
    page.is_clean()


def test_a_picture_that_is_chosen(page, folder):
    page.driver.find_element("id", "file").send_keys(str(folder / "green 0.png"))
    assert page.answer()[0] == "green"
    page.driver.find_element("css selector", "#count").send_keys("6")
    page.wait(lambda: len(page.driver.find_elements("css selector", "#hits li")) == 6)
    page.is_clean()


def test_a_stranger_and_the_nearest_anyway(page):
    name, detail, labels = page.hand(picture((128, 128, 128))).answer()
    assert name == "Unknown"
    assert detail.startswith(f"The nearest is {labels[0]} with ")
    assert len(labels) == 12
    page.is_clean()


def test_a_broken_file_and_then_a_whole_one(page):
    page.hand(picture((1, 2, 3), (90, 90), "JPEG")[:300])
    assert page.problem().startswith("This is no picture that can be read. It is cut off.")
    page.hand(b"hello", name="notes.txt", type="text/plain")
    page.wait(lambda: "no image of a known kind" in page.text("problem"))
    page.is_clean(allowed=["422"])
    assert page.hand(picture((20, 10, 235))).answer()[0] == "blue"
    assert page.text("problem") == ""


def test_a_picture_of_50_megapixels(page):
    big = picture((250, 20, 10), (8160, 6120), "JPEG")
    assert page.hand(big, type="image/jpeg").answer()[0] == "red"
    page.is_clean()


def test_a_picture_of_too_many_pixels(page):
    page.hand(picture((250, 20, 10), (9000, 9000), "PNG"))
    assert "it has 9,000 × 9,000 pixels, and 64.0 million are allowed" in page.problem()
    page.is_clean(allowed=["413"])


def test_what_is_no_file(page):
    page.hand(b"", name=None)
    assert page.problem().startswith("That is no file.")
    page.is_clean()


def test_an_item_in_large_by_keyboard(page):
    page.hand(picture((245, 25, 12))).answer()
    card = page.driver.find_element("css selector", "#hits .card")
    assert card.accessible_name.split()[:3] == ["1.", "red", "similarity"]
    card.send_keys("\ue007")  # Enter
    page.wait(lambda: page.text("dialog-name") == "red")
    assert "red " in page.text("dialog-facts")
    page.is_clean()
    page.driver.switch_to.active_element.send_keys("\ue00c")  # Escape
    page.wait(lambda: not page.driver.find_element("id", "dialog").is_displayed())
    assert page.driver.switch_to.active_element == card


@pytest.mark.parametrize("dark", [False, True])
def test_colors_can_be_read_in_both_modes(open_page, address, dark):
    page = Page(open_page(address, dark=dark))
    page.hand(picture((128, 128, 128))).answer()
    page.is_clean()
    page.hand(picture((245, 25, 12)))
    page.wait(lambda: page.text("name") == "red")
    page.is_clean()


def test_names_are_text(open_page, tmp_path):
    name = "<img src=x onerror=alert(1)>&amp;"
    with Gallery(mean_color()) as gallery:
        gallery.add(np.ones((1, 8, 8, 3)), [name], ids=[name], metadata=[{name: name}])
        with run(make_app(gallery, title=name)) as address:
            page = Page(open_page(address, 390))
            shown, detail, labels = page.hand(picture((9, 9, 9))).answer()
            assert (shown, labels) == (name, [name])
            assert "no threshold" in detail
            assert "no threshold" in page.text("about")
            assert page.text("title") == page.driver.title == name
            page.driver.find_element("css selector", "#hits .card").click()
            page.wait(lambda: page.text("dialog-name") == name)
            page.is_clean()


def test_the_token_is_asked_for(open_page, gallery):
    with run(make_app(gallery, token=TOKEN)) as address:
        page = Page(open_page(address, 390))
        page.is_clean(allowed=["401"])
        page.driver.find_element("id", "token").send_keys(TOKEN + "\ue007")
        page.wait(lambda: page.driver.title == "Search" and "items" in page.text("about"))
        assert TOKEN not in page.driver.current_url
        assert page.hand(picture((245, 25, 12))).answer()[0] == "red"
        page.is_clean()


def test_a_server_that_is_gone(open_page, gallery):
    with run(make_app(gallery)) as address:
        page = Page(open_page(address))
    page.hand(picture((245, 25, 12)))
    assert page.problem() == "The server does not answer. It may have been stopped."
