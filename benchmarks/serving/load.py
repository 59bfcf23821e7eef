"""The search page under load: clients that search, and others that misbehave meanwhile.

    python -m benchmarks.serving.load --photos PHOTOS --backbone BACKBONE.keras
        [--clients 8] [--seconds 60] [--classes 60]

PHOTOS has one folder a class. A gallery of most photographs is served in a process of its own, and
clients search the others, each over a connection of its own and without a pause. Meanwhile, clients
are killed in the middle of an upload, uploads come byte by byte, and another process replaces the
gallery.

The table has the requests, the errors (there must be none), the median and the 99th percentile of
their times beside `predict_on_batch` of one image and beside one lone client, and the memory of the
server. The results also have what became of the clients that misbehave.
"""

import argparse
import http.client
import itertools
import json
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.measuring import median_seconds
from benchmarks.reporting import described, environment, markdown, publish
from benchmarks.serving.galleries import make_gallery, server
from keras_proxygml.search import Gallery

NAME = "benchmarks.serving.load"
SLOW = 10  # seconds that an upload may take
HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, required=True, help="one folder a class")
    parser.add_argument("--backbone", required=True, help="a .keras file from RGB to features")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--classes", type=int, default=60)
    return parser.parse_args()


def body_of(path):
    """A form with one photograph."""
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head + Path(path).read_bytes() + b"\r\n--b--\r\n"


class Client:
    """Searches photographs over one connection, and keeps the times and the errors."""

    def __init__(self, address, bodies):
        self.host = urlsplit(address).netloc
        self.bodies, self.seconds, self.errors = bodies, [], []
        self.connection = http.client.HTTPConnection(self.host, timeout=60)

    def search(self, body):
        """Status and answer of one search."""
        self.connection.request("POST", "/search", body, HEADERS)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def run(self, end):
        """Searches until a time."""
        for body in itertools.cycle(self.bodies):
            if time.monotonic() >= end:
                return
            start = time.perf_counter()
            try:
                status, answer = self.search(body)
                if status != 200 or not answer["hits"]:
                    self.errors.append(f"{status}: {answer.get('detail')}")
            except OSError as error:
                self.errors.append(repr(error))
            self.seconds.append(time.perf_counter() - start)


def begin(address, body):
    """A connection on which half of a form has been sent."""
    client = socket.create_connection(urlsplit(address).netloc.split(":"), timeout=60)
    head = f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: {HEADERS['Content-Type']}\r\n\r\n"
    client.sendall(head.encode() + body[: len(body) // 2])
    return client


def kill_clients(address, body, times):
    """Resets connections in the middle of an upload, and just before the answer."""
    for i in range(times):
        client = begin(address, body)
        if i % 2:
            client.sendall(body[len(body) // 2 :])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return times


def upload_slowly(address, body):
    """Sends a byte every half second, and returns the status with which the server stops that."""
    with begin(address, body) as client:
        client.settimeout(0.5)
        end = time.monotonic() + 6 * SLOW
        while time.monotonic() < end:
            try:
                if received := client.recv(4096):
                    return int(received.split()[1])
                return "closed"
            except TimeoutError:
                client.sendall(b"x")
    return "not stopped"


def replace(address, other, path):
    """Saves another gallery in the place of the one that is served.

    Returns:
        Seconds until the server shows it, or None.
    """
    with Gallery.load(other) as gallery:
        gallery.save(path)
        start, count = time.monotonic(), len(gallery)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    while time.monotonic() - start < 30:
        connection.request("GET", "/about")
        if json.loads(connection.getresponse().read())["num_items"] == count:
            return round(time.monotonic() - start, 2)
        time.sleep(0.2)
    return None


def resident(process):
    """The resident memory of a process in MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) // 1024


def misbehave(address, body, other, path, seconds, found):
    """What happens beside the searches, spread over their time."""
    slow = threading.Thread(
        target=lambda: found.update(slow_upload=upload_slowly(address, body)), daemon=True
    )
    slow.start()
    time.sleep(seconds / 4)
    found["killed_clients"] = kill_clients(address, body, 20)
    time.sleep(seconds / 4)
    found["seconds_to_replace"] = replace(address, other, path)
    found["killed_clients"] += kill_clients(address, body, 20)
    slow.join()


def load(address, process, clients, misbehaving, seconds):
    """Runs the clients, and returns the memory of the server every twelfth of the time."""
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=client.run, args=(end,)) for client in clients]
    for thread in (misbehaving, *threads):
        thread.start()
    memory = [resident(process)]
    while time.monotonic() < end:
        time.sleep(seconds / 12)
        memory.append(resident(process))
    for thread in (misbehaving, *threads):
        thread.join()
    return memory


def milliseconds(seconds):
    """The median and the 99th percentile."""
    return {f"p{q}": round(1e3 * float(np.percentile(seconds, q)), 1) for q in (50, 99)}


def main():
    args = arguments()
    gallery, queries, _ = make_gallery(args.photos, args.backbone, args.classes)
    image = gallery.read_image(queries[0])[None]
    predict = median_seconds(lambda: gallery.embedder.predict_on_batch(image), seconds=3)
    bodies = [body_of(path) for path in queries]
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "photos.gallery", Path(folder) / "other.gallery"
        gallery.save(path)
        gallery.close()
        gallery = Gallery.load(path)
        gallery.save(other)
        gallery.add([queries[0]], ["one more"])
        gallery.close()
        with server(path, upload_seconds=SLOW) as (process, address):
            Client(address, bodies).search(bodies[0])  # which waits until the server is ready
            lone = Client(address, bodies)
            lone.run(time.monotonic() + min(10, args.seconds / 4))
            clients = [Client(address, bodies[i :: args.clients]) for i in range(args.clients)]
            found = {}
            options = (address, bodies[0], other, path, args.seconds, found)
            misbehaving = threading.Thread(target=misbehave, args=options)
            memory = load(address, process, clients, misbehaving, args.seconds)
            found["still_answers"] = Client(address, bodies).search(bodies[0])[0] == 200
    seconds = [x for client in clients for x in client.seconds]
    result = {
        "environment": environment(NAME, "keras", "tensorflow_cpu", "fastapi", "uvicorn"),
        "clients": args.clients,
        "seconds": args.seconds,
        "requests": len(seconds),
        "errors": [x for client in (lone, *clients) for x in client.errors],
        "milliseconds": milliseconds(seconds),
        "lone_client": milliseconds(lone.seconds),
        "predict_on_batch": round(1e3 * predict, 1),
        "memory_mib": memory,
        **found,
    }
    publish(NAME, result, table(result))


def table(result):
    memory = result["memory_mib"]
    rows = [
        ["requests a second", f"{result['requests'] / result['seconds']:.0f}"],
        ["errors", len(result["errors"])],
        ["`predict_on_batch` of one image, ms", result["predict_on_batch"]],
    ]
    for who, times in (
        ("a lone client", result["lone_client"]),
        (f"{result['clients']} clients", result["milliseconds"]),
    ):
        rows.append([f"{who}, ms: median, 99th percentile", ", ".join(map(str, times.values()))])
    rows.append(
        ["memory, MiB: start, half the time, end", f"{memory[0]}, {memory[6]}, {memory[-1]}"]
    )
    where = described(result["environment"], 1).replace("Medians of 1 interleaved rounds on", "On")
    clients = f"{result['clients']} clients for {result['seconds']:g} s. {where}"
    return "\n".join([clients, "", *markdown(["what", "measured"], rows)])


if __name__ == "__main__":
    main()
