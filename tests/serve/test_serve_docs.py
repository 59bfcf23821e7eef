"""The code of `docs/serving.md` runs."""

import functools
import io
import re
import sys
import threading
import time
import urllib.request
from pathlib import Path

from colored import fill, mean_color

import keras_proxygml.serve
from keras_proxygml.search import Gallery
from keras_proxygml.serve import server

DOCUMENT = Path(__file__).parent.parent.parent / "docs/serving.md"


def test_the_code_of_the_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Gallery(mean_color()) as gallery:
        fill(gallery, tmp_path).save("run/gallery")
    servers, printed, answers = [], [], []
    cookies = urllib.request.HTTPCookieProcessor()
    make_server = server.make_server

    def remembered(app):
        servers.append(make_server(app))
        return servers[-1]

    def ask_and_stop():
        for number in range(2):
            while len(servers) <= number or not servers[number].started:
                time.sleep(0.01)
            printed.append(sys.stdout.getvalue().splitlines()[number])
            address = re.search(r"http://\S+", printed[-1])[0].replace("0.0.0.0", "127.0.0.1")
            try:
                with urllib.request.build_opener(cookies).open(address) as answer:
                    answers.append(answer.read().decode())
            finally:
                servers[number].should_exit = True

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(server, "make_server", remembered)
    # 8000, the default, may be taken here.
    served = functools.partial(keras_proxygml.serve.serve, port=0)
    monkeypatch.setattr(keras_proxygml.serve, "serve", served)
    client = threading.Thread(target=ask_and_stop, daemon=True)
    client.start()
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S):
        exec(compile(block, DOCUMENT.name, "exec"), namespace)
    client.join()
    assert ["token=" in text for text in printed] == [False, True]
    assert all("<html" in answer for answer in answers)
