"""Real connections: slow, killed and endless uploads do no harm to others."""

import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from colored import fill, mean_color, picture

from keras_proxygml.search import Gallery
from keras_proxygml.serve import make_app
from keras_proxygml.serve.addresses import listen
from keras_proxygml.serve.server import make_server

pytestmark = pytest.mark.tensorflow
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    + picture((250, 20, 10))
    + b"\r\n--b--\r\n"
)
# Starlette leaves the temporary file of a form that is cut off to the garbage collector.
CUT_OFF = pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile")
HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def port(gallery):
    app = make_app(gallery, max_bytes=2**20, upload_seconds=0.5)
    with listen("127.0.0.1", 0) as connection:
        server = make_server(app)
        thread = threading.Thread(target=server.run, args=([connection],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield connection.getsockname()[1]
        server.should_exit = True
        thread.join()


def ask(port, body=BODY, headers=HEADERS):
    """Status, answer and headers of a search over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/search", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()), response.headers
    finally:
        connection.close()


def test_the_end_of_an_answer_does_not_wait_for_the_client():
    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def begin(port, length):
    """A connection on which the headers and half of a body have been sent."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
    head += f"Content-Type: {HEADERS['Content-Type']}\r\n\r\n"
    client.sendall(head.encode() + BODY[: len(BODY) // 2])
    return client


def answer_of(client):
    """The status and the rest of what comes until the connection is closed."""
    received = b""
    while part := client.recv(65536):
        received += part
    return int(received.split()[1]), received


def test_an_ordinary_search(port):
    status, answer, headers = ask(port)
    assert (status, answer["label"]) == (200, "red")
    assert "server" not in headers


def test_a_slow_upload_is_stopped_and_others_go_on(port):
    with begin(port, len(BODY)) as slow:
        start = time.monotonic()
        assert ask(port)[0] == 200
        status, received = answer_of(slow)
    assert status == 408
    assert b"did not arrive within 0.5 seconds" in received
    assert time.monotonic() - start < 5


def test_a_drop_now_and_then_does_not_keep_an_upload_alive(port):
    with begin(port, 10**5) as slow:
        start = time.monotonic()
        with contextlib.suppress(OSError):  # once the server has closed the connection
            while time.monotonic() - start < 5:
                slow.sendall(b"x")
                time.sleep(0.05)
    assert time.monotonic() - start < 5
    assert ask(port)[0] == 200


@CUT_OFF
def test_killed_clients_do_no_harm(port):
    for length in (len(BODY), len(BODY) // 2):  # within the body, and before the answer
        for _ in range(12):
            client = begin(port, length)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # with a reset
    assert ask(port)[0] == 200


def test_a_body_without_end_is_stopped_when_it_is_too_large(port):
    sent = 0

    def endless():
        nonlocal sent
        yield BODY[:200]
        while True:
            sent += 2**16
            yield bytes(2**16)

    try:
        status, answer, _ = ask(port, endless(), HEADERS)
        assert status == 413
        assert "1 MiB are allowed" in answer["detail"]
    except OSError:  # the server has closed the connection before the client has read
        pass
    assert sent < 2**24
    assert ask(port)[0] == 200


def test_a_large_body_is_refused_before_it_is_sent(port):
    with begin(port, 2**30) as client:
        status, _ = answer_of(client)
    assert status == 413


@CUT_OFF
@pytest.mark.parametrize("body", [b"", b"--b\r\n", b"nonsense", BODY[:-20]])
def test_a_damaged_form_is_refused(port, body):
    status, answer, _ = ask(port, body)
    assert status in (400, 422)
    assert answer["detail"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops_in_order(tmp_path, number):
    with Gallery(mean_color()) as gallery:
        fill(gallery, tmp_path).save(tmp_path / "a.gallery")
    code = f"from keras_proxygml.serve import serve; serve({str(tmp_path / 'a.gallery')!r}, port=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    line = process.stdout.readline()
    assert line.startswith("Serving <Gallery of 12 items in ")
    port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
    while True:
        try:
            assert ask(port)[1]["label"] is None  # there is no threshold
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == (0 if number == signal.SIGINT else -signal.SIGTERM)
    assert "Traceback" not in output + errors
