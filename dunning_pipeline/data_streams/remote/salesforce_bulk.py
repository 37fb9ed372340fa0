"""Reads a Salesforce object by the Bulk API 2.0: queryAll with deletes since the watermark, page by page into files."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.remote.fetched_pages import new_fetch, watermark
from dunning_pipeline.errors import Busy, DunningError, InvalidInput
from dunning_pipeline.settings.workspace import Workspace

PAGE_ROWS = 250_000
_LOGIN = ("username", "password", "security_token", "domain", "consumer_key", "consumer_secret", "privatekey_file")
_SESSION = ("session_id", "instance", "instance_url", "version")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SalesforceBulk:
    """One login, shared by the objects of a source; opened when the first object is fetched."""

    def __init__(self, environment: dict[str, str] | None = None, *, wait_seconds: float = 0.5) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._wait_seconds = wait_seconds
        self._client: Any = None

    def fetch(
        self, con: duckdb.DuckDBPyConnection, ws: Workspace, stream: StreamSource, name: str, now: datetime
    ) -> Path:
        """A folder with one CSV per page of rows changed since the watermark; deleted rows carry IsDeleted = true.

        Raises InvalidInput for a refused login, query or job, Busy where Salesforce cannot be reached.
        """
        try:
            client = self._connected()
            query = self._query(client, con, stream, name)
            folder = new_fetch(ws, stream, name, now)
            pages = getattr(client.bulk2, name).query_all(query, max_records=PAGE_ROWS, wait=self._wait_seconds)
            for number, page in enumerate(pages, start=1):
                if page.strip():
                    # a page is whole under its name or not there at all
                    part = folder / f".{number}"
                    part.write_text(page, encoding="utf-8", newline="")
                    part.rename(folder / f"{name}-part-{number:05d}.csv")
            return folder
        except DunningError:
            raise
        except Exception as error:
            raise _explained(error, stream, name) from error

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _login(self._environment)
        return self._client

    def _query(self, client: Any, con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str) -> str:
        known = {field["name"].lower(): field["name"] for field in getattr(client, name).describe()["fields"]}
        declared = stream.objects[name]
        wanted = [n for column, meaning in declared.columns.items() for n in (column, *meaning.aliases)]
        fields = list(dict.fromkeys(known[n.lower()] for n in wanted if n.lower() in known))
        conditions = [f"({declared.query})"] if declared.query else []
        changed = next((known[n.lower()] for n in declared.modified if n.lower() in known), None)
        since = watermark(con, stream, name)
        if changed and since:
            conditions.append(f"{changed} >= {since:%Y-%m-%dT%H:%M:%S}Z")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(fields)} FROM {name}{where}"


def _login(environment: dict[str, str]) -> Any:
    import requests
    from simple_salesforce.api import Salesforce

    given: dict[str, Any] = {
        name: environment[f"SALESFORCE_{name.upper()}"]
        for name in (*_LOGIN, *_SESSION)
        if environment.get(f"SALESFORCE_{name.upper()}")
    }
    if not given:
        raise InvalidInput(
            "no Salesforce login is configured",
            remedy="set SALESFORCE_USERNAME, SALESFORCE_PASSWORD and SALESFORCE_SECURITY_TOKEN (or another login)",
        )
    address = urlsplit(given.get("instance_url", ""))
    session = requests.Session()
    if address.scheme == "http":
        if address.hostname not in _LOOPBACK:
            raise InvalidInput("Salesforce is spoken to by https only", value=given["instance_url"])
        _speak_http(session, f"https://{address.netloc}/")
    return Salesforce(session=session, **given)


def _speak_http(session: Any, prefix: str) -> None:
    """The client writes https into every address: undone for a server on loopback, and for nothing else."""
    send = session.request

    def request(method: str, url: str, **options: Any) -> Any:
        return send(method, url.replace(prefix, prefix.replace("https", "http", 1), 1), **options)

    session.request = request


def _explained(error: Exception, stream: StreamSource, name: str) -> DunningError:
    import requests
    from simple_salesforce import exceptions as sf

    place = f"{stream.source} {name}"
    if isinstance(error, requests.RequestException):
        return Busy(f"{place}: Salesforce cannot be reached: {error}", remedy="try again later")
    if isinstance(error, sf.SalesforceAuthenticationFailed | sf.SalesforceExpiredSession):
        return InvalidInput(f"{place}: Salesforce refused the login: {error}", remedy="check SALESFORCE_*")
    if isinstance(error, sf.SalesforceRefusedRequest):
        return InvalidInput(
            f"{place}: Salesforce forbids it: {error}", remedy="give the user 'API Enabled' and 'View All Data'"
        )
    if isinstance(error, sf.SalesforceResourceNotFound):
        return InvalidInput(f"{place}: this org has no such object", remedy="take it out of the stream's objects")
    if isinstance(error, sf.SalesforceGeneralError) and getattr(error, "status", 0) in (429, 500, 502, 503, 504):
        return Busy(f"{place}: Salesforce is not ready: {error}", remedy="try again later")
    return InvalidInput(f"{place}: {error}", remedy="look at the job under Setup → Bulk Data Load Jobs")
