"""The hub behind nginx with TLS, in the configuration of examples/hub."""

import os
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from hub_client import Client
from hub_server import find_free_port, serve_hub
from missing import miss

EXAMPLE = Path(__file__).parents[2] / "examples" / "hub" / "nginx.conf"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """A hub behind nginx: the server, the URL of nginx, and the certificate that clients must trust."""
    if not shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]):
        miss("nginx is not installed: Debian has it as the package nginx-light")
    folder, port = tmp_path_factory.mktemp("nginx"), find_free_port()
    certificate, key = folder / "hub.pem", folder / "hub.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    with serve_hub(folder) as server:
        text = EXAMPLE.read_text(encoding="utf-8")
        for example, real in {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "hub.example.org;": "localhost;",
            "/etc/ssl/hub.example.org.pem": str(certificate),
            "/etc/ssl/hub.example.org.key": str(key),
            "http://127.0.0.1:7860": server.url,
        }.items():
            assert example in text
            text = text.replace(example, real)
        temp_paths = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        settings = folder / "nginx.conf"
        settings.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/errors;\nevents {{}}\n"
            f"http {{ access_log off; {temp_paths}\n{text} }}\n"
        )
        process = subprocess.Popen(
            ["nginx", "-c", settings], env=os.environ | {"PATH": "/usr/sbin:" + os.environ["PATH"]}
        )
        try:
            wait_for_answer(f"https://localhost:{port}/health", certificate)
            yield server, f"https://localhost:{port}", certificate
        finally:
            process.terminate()
            process.wait(10)


def wait_for_answer(url: str, certificate: Path) -> None:
    for _ in range(100):
        try:
            httpx2.get(url, verify=ssl.create_default_context(cafile=str(certificate)))
            return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")


def test_the_client_works_through_nginx_with_tls(nginx, tmp_path):
    server, url, certificate = nginx
    content = os.urandom(5_000_000)
    (tmp_path / "up" / "sub").mkdir(parents=True)
    (tmp_path / "up" / "weights.bin").write_bytes(content)
    (tmp_path / "up" / "sub" / "with space & ünicode.txt").write_text("text")
    script = (
        "import sys\nfrom huggingface_hub import HfApi, snapshot_download\n"
        "HfApi().create_repo('lab/model')\n"
        "print(HfApi().upload_folder(repo_id='lab/model', folder_path=sys.argv[1]))\n"
        "print(snapshot_download('lab/model'))\n"
    )
    environment = server.make_environment(server.create_token(), tmp_path / "cache")
    environment |= {"HF_ENDPOINT": url, "SSL_CERT_FILE": str(certificate), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "up"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    commit, snapshot = done.stdout.split()
    assert commit.startswith(f"{url}/lab/model/commit/")
    assert (Path(snapshot) / "weights.bin").read_bytes() == content
    assert (Path(snapshot) / "sub" / "with space & ünicode.txt").read_text() == "text"


def test_urls_in_answers_are_those_of_the_proxy(nginx):
    server, url, certificate = nginx
    client = Client(url, server.create_token())
    client.http = httpx2.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {client.token}"},
        verify=ssl.create_default_context(cafile=str(certificate)),
    )
    client.create("lab/other")
    assert client.request_upload_url("lab/other", b"x" * 2_000_000).startswith(f"{url}/lfs/")
    assert client.http.get("/api/models?limit=1").headers["Link"].startswith(f"<{url}/api/models?")
