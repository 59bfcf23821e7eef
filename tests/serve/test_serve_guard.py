"""Who may ask: this machine, or those who have the token; and no page of another site."""

import pytest
from colored import picture
from starlette.testclient import TestClient

from keras_proxygml.serve import make_app
from keras_proxygml.serve.addresses import is_loopback

pytestmark = pytest.mark.tensorflow
TOKEN = "correct-horse-battery"
SEARCH = {"files": {"image": ("a.png", picture((250, 20, 10)))}}


@pytest.fixture(scope="module")
def guarded(gallery):
    with TestClient(make_app(gallery, token=TOKEN), base_url="http://example.org") as client:
        yield client


@pytest.fixture
def stranger(guarded):
    guarded.cookies.clear()
    return guarded


@pytest.mark.parametrize("address", ["/about", "/items", "/openapi.json", "/thumbnails/a", "/nope"])
def test_nothing_is_told_without_the_token(stranger, address):
    response = stranger.get(address)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert stranger.get(address, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert stranger.get(address, params={"token": TOKEN}).status_code == 401
    assert stranger.post("/search", **SEARCH).status_code == 401


def test_the_token_opens_the_api(stranger):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert stranger.post("/search", headers=headers, **SEARCH).json()["label"] == "red"
    assert stranger.get("/about", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("given", ["", "Basic x", "Bearer", "Bearer \xe9", f"Bearer {TOKEN}x"])
def test_other_headers_do_not(stranger, given):
    headers = {"Authorization": given.encode("latin-1")}
    assert stranger.get("/about", headers=headers).status_code == 401
    cookie = f"keras_proxygml_token={given[7:]}".encode("latin-1")
    assert stranger.get("/about", headers={"Cookie": cookie}).status_code == 401


def test_a_link_with_the_token_opens_the_page(stranger):
    assert "asks for a token" in stranger.get("/").text
    assert stranger.get("/").status_code == 401
    assert stranger.get("/", params={"token": "wrong"}).status_code == 401
    assert stranger.get("/page/style.css").status_code == 200  # of the page that asks
    response = stranger.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "./")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "drop a photograph" in stranger.get("/").text.lower()
    assert stranger.post("/search", **SEARCH).status_code == 200


def test_an_odd_cookie_beside_the_token_does_no_harm(stranger):
    for cookies in ('prefs={"x": 1}; keras_proxygml_token=%s', 'keras_proxygml_token=%s; a"b; ='):
        assert stranger.get("/about", headers={"Cookie": cookies % TOKEN}).status_code == 200


def test_health_needs_no_token(stranger):
    assert stranger.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:8000", "[::1]:8000"])
def test_without_a_token_this_machine_may_ask(client, host):
    assert client.get("/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["example.org", "192.168.0.2", "localhost.example.org", "[", ""])
def test_without_a_token_other_hosts_are_refused(client, host):
    response = client.get("/about", headers={"Host": host})
    assert response.status_code == 403
    assert "only requests to localhost" in response.json()["detail"]


@pytest.mark.parametrize("origin", ["http://example.org", "null", "http://localhost:9", "["])
def test_pages_of_other_sites_are_refused(client, origin):
    assert client.post("/search", headers={"Origin": origin}, **SEARCH).status_code == 403


def test_the_page_itself_is_not(client):
    response = client.post("/search", headers={"Origin": "http://localhost"}, **SEARCH)
    assert response.status_code == 200


def test_the_page_loads_nothing_from_elsewhere(client):
    response = client.get("/")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    for name in ("", "page/script.js", "page/style.css", "page/login.html"):
        text = client.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert "innerHTML" not in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_not_loopback(host):
    assert not is_loopback(host)
