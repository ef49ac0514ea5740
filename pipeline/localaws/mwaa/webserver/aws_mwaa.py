"""What MWAA adds to Airflow's web server: signing in with a web token, and the command line over HTTP.

Runs inside an environment's API server, as a plugin found through `aws_mwaa-1.dist-info` beside it; it knows Airflow
and the standard library only. Source: MWAA user guide, call-mwaa-apis-web and call-mwaa-apis-cli.
"""
# ruff: noqa: INP001 - a folder on the server's path, no package

import asyncio
import base64
import shlex
from typing import Any
from urllib.parse import parse_qs

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI, Request  # type: ignore[import-not-found]  # it is installed where Airflow is
from fastapi.responses import HTMLResponse, JSONResponse, Response  # type: ignore[import-not-found]

PREFIX = "/aws_mwaa"
# MWAA's own processes and database are no business of its users.
REFUSED = (
    "api-server",
    "celery",
    "dag-processor",
    "db",
    "kerberos",
    "scheduler",
    "standalone",
    "triggerer",
    "webserver",
)
# The token comes behind a #, which a browser keeps to itself: this page hands it on.
SIGN_IN = """<!doctype html><title>Signing in</title><p>Signing in&hellip;</p><script>
fetch("login", {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"},
                body: "token=" + encodeURIComponent(location.hash.slice(1))})
  .then(answer => answer.ok ? location.replace("/") : answer.text().then(text => document.body.textContent = text));
</script>"""

app = FastAPI(title="Amazon MWAA")


@app.get("/aws-console-sso")  # type: ignore[untyped-decorator]
def sign_in() -> Any:
    """The page that a link with a web token opens."""
    return HTMLResponse(SIGN_IN)


@app.post("/login")  # type: ignore[untyped-decorator]
async def login(request: Request) -> Any:
    """Take a web token for the session of a browser."""
    token = parse_qs((await request.body()).decode()).get("token", [""])[0]
    if not await _is_valid(token):
        return JSONResponse({"detail": "the web token is not valid, or older than a day"}, status_code=401)
    response = Response(status_code=200)
    response.set_cookie(COOKIE_NAME_JWT_TOKEN, token, path="/", httponly=True, samesite="lax")
    return response


@app.post("/cli")  # type: ignore[untyped-decorator]
async def cli(request: Request) -> Any:
    """Run one of Airflow's commands: the body is its arguments, the answer both outputs in base64."""
    if not await _is_valid(request.headers.get("Authorization", "").removeprefix("Bearer ")):
        return JSONResponse({"detail": "the CLI token is not valid"}, status_code=403)
    try:
        arguments = shlex.split((await request.body()).decode())
    except ValueError as error:
        return JSONResponse({"detail": f"the command cannot be read: {error}"}, status_code=400)
    if not arguments or arguments[0] in REFUSED:
        return JSONResponse({"detail": f"MWAA does not run {' '.join(arguments[:1]) or 'nothing'}"}, status_code=403)
    process = await asyncio.create_subprocess_exec(
        "airflow", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    outputs = await process.communicate()
    answer = dict(zip(("stdout", "stderr"), (base64.b64encode(output).decode() for output in outputs), strict=True))
    return JSONResponse(answer, status_code=400 if process.returncode else 200)


async def _is_valid(token: str) -> bool:
    try:
        await get_auth_manager().get_user_from_token(token)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it lets nobody in
        return False
    return True


class AwsMwaa(AirflowPlugin):  # type: ignore[misc]  # Airflow is not installed where we check types
    """Puts the application under MWAA's prefix."""

    name = "aws_mwaa"
    fastapi_apps = [{"app": app, "url_prefix": PREFIX, "name": "Amazon MWAA"}]  # noqa: RUF012 - Airflow's interface
