"""A small Salesforce on loopback: describe and Bulk API 2.0 query jobs, with pages, locators and deleted rows."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class SalesforceOrg:
    """`objects` maps a name to its rows (dicts with the same keys); `page_rows` cuts results into pages."""

    def __init__(self, objects: dict[str, list[dict[str, str]]], *, page_rows: int = 2) -> None:
        self.objects, self.page_rows = objects, page_rows
        self.queries: list[dict[str, Any]] = []
        self.failing: dict[str, tuple[int, Any]] = {}  # path fragment → status and body
        self.job_state = "JobComplete"
        org = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                org.answer(self)

            def do_POST(self) -> None:
                org.answer(self)

            def do_DELETE(self) -> None:
                org.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True)

    def __enter__(self) -> "SalesforceOrg":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return {"SALESFORCE_SESSION_ID": "00D!session", "SALESFORCE_INSTANCE_URL": url}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        address = urlsplit(request.path)
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length)) if length else {}
        for fragment, (status, content) in self.failing.items():
            if fragment in address.path:
                return self.send(request, content, status=status)
        described = re.search(r"/sobjects/(\w+)/describe", address.path)
        if described:
            rows = self.objects[described[1]]
            return self.send(request, {"fields": [{"name": name} for name in rows[0]]})
        if address.path.endswith("/jobs/query") and request.command == "POST":
            self.queries.append(body)
            job = {"id": f"750{len(self.queries)}", "operation": body["operation"], "state": "UploadComplete"}
            return self.send(request, job)
        number = int(re.search(r"/jobs/query/750(\d+)", address.path)[1])  # type: ignore[index]
        if address.path.endswith("/results"):
            return self.page(request, number, parse_qs(address.query))
        return self.send(request, {"id": f"750{number}", "state": self.job_state, "errorMessage": "out of limits"})

    def page(self, request: BaseHTTPRequestHandler, number: int, asked: dict[str, list[str]]) -> None:
        soql = self.queries[number - 1]["query"]
        fields = re.search(r"SELECT (.+?) FROM", soql)[1].split(", ")  # type: ignore[index]
        rows = self.objects[re.search(r" FROM (\w+)", soql)[1]]  # type: ignore[index]
        since = re.search(r"SystemModstamp >= (\S+)Z", soql)
        if since:
            rows = [row for row in rows if row["SystemModstamp"] >= since[1]]
        start = int(asked.get("locator", ["0"])[0])
        part = rows[start : start + self.page_rows]
        following = start + self.page_rows
        text = "\n".join(
            [",".join(f'"{name}"' for name in fields)] + [",".join(f'"{row[n]}"' for n in fields) for row in part]
        )
        locator = str(following) if following < len(rows) else "null"
        headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(len(part))}
        self.send(request, text + "\n", headers=headers)

    def send(
        self, request: BaseHTTPRequestHandler, content: Any, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        raw = (content if isinstance(content, str) else json.dumps(content)).encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)
