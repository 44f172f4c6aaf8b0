"""The site is served on loopback alone."""

import threading
import urllib.request
from pathlib import Path

import pytest

from observatory.core.errors import EnvironmentFailed
from observatory.site.serve import LOOPBACK, site_server


def test_files_are_served_on_loopback_and_a_taken_port_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("here")
    with site_server(tmp_path, 0) as server:
        assert server.server_address[0] == LOOPBACK
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{server.server_port}/") as answer:
                assert answer.read() == b"here"
                assert answer.headers["Cache-Control"] == "no-store"
            with pytest.raises(EnvironmentFailed, match="--port"):
                site_server(tmp_path, server.server_port)
        finally:
            server.shutdown()
            thread.join()
