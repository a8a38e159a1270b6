"""The platform as docs/production.md has it: PostgreSQL, Redis, S3, several processes, and nginx before them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import psutil
import requests

from tests.stack import ROOT, Stack, free_port, wait_until

WEBS = ("web-1", "web-2")
WORKERS = ("worker-1", "worker-2")


class ObjectStorage:
    """An S3 server of its own process, with a bucket."""

    bucket = "mlops"
    credentials = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def __enter__(self) -> "ObjectStorage":
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)
        wait_until(self._answers, seconds=30, what="the S3 server answers")
        boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        ).create_bucket(Bucket=self.bucket)  # fmt: skip
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)

    def settings(self, prefix: str) -> dict[str, str]:
        root = f"s3://{self.bucket}/{prefix}"
        return {"ARTIFACT_ROOT": root, "ARTIFACT_S3_ENDPOINT_URL": self.url, **self.credentials}

    def _answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=2).status_code < 500
        except requests.RequestException:
            return False


class ProductionStack(Stack):
    """Two web servers of two processes, two workers, beat and agent behind deploy/nginx.conf with a certificate.

    Whoever talks to it must trust `certificate`, as `trusted` says.
    """

    def __init__(self, data_dir: Path, **environment: str):
        super().__init__(data_dir, **environment)
        self.ports = {name: free_port() for name in WEBS}
        self.plain_url = f"http://127.0.0.1:{free_port()}"
        self.url = f"https://127.0.0.1:{self.port}"
        self.nginx_dir = data_dir.with_name(f"{data_dir.name}-nginx")
        self.certificate = self.nginx_dir / "tls" / "mlops.crt"
        # requests reads the one, OpenSSL the other
        self.trusted = {name: str(self.certificate) for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")}
        self.environment |= {
            **self.trusted,
            "HTTPS_ONLY": "true",
            "BEHIND_PROXY": "true",
            "ALLOWED_HOSTS": "127.0.0.1",
            "PUBLIC_URL": self.url,
            "CSRF_TRUSTED_ORIGINS": self.url,
            "WEB_WORKERS": "2",
        }

    def _bring_up(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._start_nginx()
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        for name in ("agent", *WORKERS, "beat", *WEBS):
            self.start(name)
        wait_until(self.is_ready, seconds=90, what=f"the stack is ready (logs in {self.data_dir})")

    def start(self, name: str) -> subprocess.Popen[bytes]:
        usual = self.environment
        self.environment = usual | ({"PORT": str(self.ports[name])} if name in self.ports else {})
        try:
            return super().start(name)
        finally:
            self.environment = usual

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        shutil.rmtree(self.nginx_dir, ignore_errors=True)

    def nginx_processes(self) -> list[psutil.Process]:
        master = psutil.Process(self.processes["nginx"].pid)
        return [master, *master.children()]

    def web_processes(self) -> list[psutil.Process]:
        masters = [psutil.Process(self.processes[name].pid) for name in WEBS if name in self.processes]
        return [process for master in masters for process in [master, *master.children()]]

    def _start_nginx(self) -> None:
        self.certificate.parent.mkdir(parents=True)
        make_certificate(self.certificate, self.certificate.with_suffix(".key"))
        (self.nginx_dir / "nginx.conf").write_text(self._rendered())
        self.processes["nginx"] = subprocess.Popen(
            ["nginx", "-c", self.nginx_dir / "nginx.conf", "-g", "daemon off;"],
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
            start_new_session=True,
        )

    def _rendered(self) -> str:
        """The committed file with the places and ports of this test; each is there to be replaced."""
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        for ours, here in {
            "127.0.0.1:8000": f"127.0.0.1:{self.ports['web-1']}",
            "127.0.0.1:8001": f"127.0.0.1:{self.ports['web-2']}",
            "listen 80;": f"listen {self.plain_url.removeprefix('http://')};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "/etc/nginx/tls/": f"{self.nginx_dir}/tls/",
            "/run/nginx.pid": f"{self.nginx_dir}/pid",
            "/var/log/nginx/": f"{self.nginx_dir}/",
        }.items():
            assert ours in text, ours
            text = text.replace(ours, here)
        return text


def make_certificate(certificate: Path, key: Path) -> None:
    """For 127.0.0.1, signed by itself."""
    options: dict[str, Any] = {"check": True, "capture_output": True}
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
            "-addext", "subjectAltName=IP:127.0.0.1", "-out", certificate, "-keyout", key,
        ],
        **options,
    )  # fmt: skip
