"""The dashboard's page over HTTP: its files, what a browser may do with them, and the key that a browser keeps."""

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from runner import Principal, Runner, Worker
from runner.dashboard import page_files
from runner.dashboard.bundle import bundled
from runner.dashboard.lean_script import lean_script
from runner.errors import Unauthenticated
from runner.http import create_app, router
from runner.http.browser_session import COOKIE, cookie
from tests.http.conftest import Service
from tests.http.test_keys import bearer, elsewhere, eventually_closed, made, problem
from tests.http.test_keys import behind_proxy as behind_proxy
from tests.http.uvicorn_server import serving

OWN = {"x-runner-page": "1"}
PAGE = Path(__file__).parents[2] / "runner" / "dashboard" / "page"
MOST_BYTES, MOST_COMPRESSED = 146_000, 45_000
"""Of all files of our own, as they are sent."""
IMPORT = re.compile(r"""^import .*?from "(\.[^"]+)";""", re.MULTILINE)
CLASS_OF_RULE = re.compile(r"\.(-?[a-z][\w-]*)")


async def test_the_page_and_all_its_files_are_served(service: Service) -> None:
    for path, file in page_files().items():
        answer = await service.http.get(f"/ui/{path}")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, file.content, file.media_type), path
    assert (await service.http.get("/ui/")).content == page_files()["index.html"].content
    assert gzip.decompress(page_files()["style.css"].compressed) == page_files()["style.css"].content


async def test_the_page_runs_its_own_scripts_and_asks_its_own_service_only(service: Service) -> None:
    answer = await service.http.get("/ui/")

    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_file_of_the_page_asks_anything_of_another_host() -> None:
    for path, file in page_files().items():
        if path.startswith("vendor/"):
            continue
        text = file.content.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.findall(r"""["'(`]https?://|["'(`]//\w""", text), path
        assert not re.findall(r"<script>|\sstyle=\"|\son\w+=\"|\beval\(|new Function", text), path


def test_every_import_of_a_script_is_a_file_of_the_page_and_every_file_is_used() -> None:
    used = {PAGE / "js" / "theme.js", PAGE / "js" / "main.js"}
    for path in scripts():
        for found in IMPORT.findall(path.read_text()):
            target = (path.parent / found).resolve()
            assert target.is_file(), f"{path.name} imports {found}"
            used.add(target)

    assert {*scripts(), PAGE / "vendor" / "htm-preact.js"} == used


def scripts() -> list[Path]:
    return sorted((PAGE / "js").rglob("*.js"))


def test_the_page_stays_small() -> None:
    own = [file for path, file in page_files().items() if not path.startswith("vendor/")]
    assert sum(len(file.content) for file in own) < MOST_BYTES
    assert sum(len(file.compressed) for file in own) < MOST_COMPRESSED


def test_every_rule_of_the_style_sheet_is_for_something_that_a_script_draws() -> None:
    words = set(re.findall(r"[\w-]+", "".join(path.read_text() for path in scripts()) + (PAGE / "index.html").read_text()))
    selectors = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", (PAGE / "style.css").read_text(), flags=re.DOTALL)
    made = {f"{start}{word}" for start in ("is-", "c-") for word in words}

    assert set(CLASS_OF_RULE.findall(selectors)) - words - made == set()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed, which reads the script as a browser does")
@pytest.mark.parametrize("path", ["js/main.js", "js/theme.js"])
def test_a_browser_can_read_the_scripts_of_the_page(path: str, tmp_path: Path) -> None:
    script = tmp_path / ("script.mjs" if path == "js/main.js" else "script.cjs")
    script.write_bytes(page_files()[path].content)
    read = subprocess.run(["node", "--check", script], capture_output=True, text=True, check=False)

    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize(
    ("text", "lean"),
    [
        ("const a = { b : 1, c : [ 2, 3 ] };\nlet d = (e) => e ? 1 : -1;", "const a={b:1,c:[2,3]};let d=(e)=>e?1:-1;"),
        ('say("x = { y }", \'a : b\', "it\\" , s");', 'say("x = { y }",\'a : b\',"it\\" , s");'),
        (
            "html`a = ${ b ? html`c : ${ { d : `e , f` } . d } ` : 1 } g , h` / 2",
            "html`a = ${ b?html`c : ${{d:`e , f`}. d } `:1 } g , h` / 2",
        ),
        ("if (/[/ ] = , \\/ /.test( x )) return a / b / c;", "if(/[/ ] = , \\/ /.test(x))return a / b / c;"),
        ("a = b + +c;\nd = e - -f;\nreturn g in h;", "a=b + +c;d=e - -f;return g in h;"),
        ("f(\n1,\n2\n)\n.then(g);\n}\nlet h = 1;", "f(1,2).then(g);}\nlet h=1;"),
    ],
)
def test_a_script_loses_the_spaces_that_say_nothing_and_no_others(text: str, lean: str) -> None:
    assert lean_script(text) == lean


@pytest.mark.parametrize("text", ["a = 'b", "html`c ${ d", "e = `f", "g = /h"])
def test_a_script_whose_quotes_do_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no end"):
        lean_script(text)


def test_the_modules_of_the_page_become_one_script_in_which_equal_names_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(
        '// About a.\nimport { html } from "../vendor/htm-preact.js";\nimport { b } from "./b.js";\n\n  const x = b; // why\n'
    )
    (tmp_path / "b.js").write_text(
        "/** What b is. */\nexport const b = 1;\nconst x = 2;\nexport function c() {}\nexport async function d() {}\n"
    )

    assert bundled(tmp_path / "a.js").splitlines() == [
        'import * as vendor from "../vendor/htm-preact.js";',
        "const m0 = (() => {",
        "const b = 1;",
        "const x = 2;",
        "function c() {}",
        "async function d() {}",
        "return { b, c, d }; })();",
        "const m1 = (() => {",
        "const { html } = vendor;",
        "const { b } = m0;",
        "const x = b;",
        "return {  }; })();",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("export default 1;", "a.js exports in another form: export default 1;"),
        ('import b from "./a.js";', "a.js imports in another form"),
        ('import { a } from "./a.js";', "a.js imports itself"),
    ],
)
def test_a_module_in_another_form_is_refused(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "a.js").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=told):
        bundled(tmp_path / "a.js")


async def test_a_file_that_a_browser_has_is_not_sent_again(service: Service) -> None:
    first = await service.http.get("/ui/style.css")
    again = await service.http.get("/ui/style.css", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert (await service.http.get("/ui/style.css", headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize("path", ["none.js", "../settings.py", "..%2f..%2fsettings.py", "js", "page_files.py", "a" * 200])
async def test_only_files_of_the_page_are_served(service: Service, path: str) -> None:
    answer = await service.http.get(f"/ui/{path}")

    assert answer.status_code in (404, 422)
    assert b"import" not in answer.content


def mounted(jobs: Runner) -> FastAPI:
    app = FastAPI()
    app.mount("/queue", create_app(jobs))
    return app


def included(jobs: Runner) -> FastAPI:
    app = FastAPI()
    app.include_router(router(jobs), prefix="/queue")
    return app


@pytest.mark.parametrize("place", [mounted, included])
async def test_it_works_below_a_prefix(app: Runner, worker: Worker, place: Callable[[Runner], FastAPI]) -> None:
    async with serving(place(app)) as http:
        moved = await http.get("/queue/ui")
        assert (moved.status_code, moved.headers["location"]) == (308, "/queue/ui/")
        page = await http.get("/queue/ui/")
        assert page.status_code == 200
        for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert (await http.get(f"/queue/ui/{path}")).status_code == 200, path
        assert (await http.get("/queue/ui/session")).json()["queue"] == app.queue


async def by_cookie(scope: Mapping[str, Any], action: str, target: str | None) -> Principal:
    """An app's own users: one, by a cookie of the app."""
    if (b"cookie", b"session=ann") not in scope["headers"]:
        raise Unauthenticated("sign in at /login")
    return Principal.of_preset("ann", "observer")


@pytest.mark.parametrize("is_mounted", [True, False])
async def test_the_page_knows_that_an_app_has_users_of_its_own(app: Runner, is_mounted: bool) -> None:
    host = FastAPI()
    if is_mounted:
        host.mount("/queue", create_app(app, authorize=by_cookie))
    else:
        host.include_router(router(app, authorize=by_cookie), prefix="/queue")
    async with serving(host) as http:
        assert (await http.get("/queue/ui/")).status_code == 200
        assert problem(await http.get("/queue/ui/session")) == (401, "unauthenticated")
        assert (await http.get("/queue/ui/door")).json() == {"by_key": False}
        http.headers["cookie"] = "session=ann"
        session = (await http.get("/queue/ui/session")).json()
        assert (session["who"], session["by_key"], session["described"]) == ("ann", False, is_mounted)
        assert ((await http.get("/queue/docs")).status_code == 200) is session["described"]
        refused = await http.get("/queue/v1/audit")
        assert (refused.status_code, refused.json()["detail"]) == (403, "ann has no right audit:read")
    await app.close()


async def test_without_keys_a_browser_needs_none(service: Service) -> None:
    answer = await service.http.get("/ui/session")

    assert (answer.json()["who"], "limits:write" in answer.json()["scopes"], answer.json()["by_key"]) == ("", True, False)
    begun = await service.http.post("/ui/session")
    assert (begun.status_code, "set-cookie" in begun.headers) == (204, False)


async def test_a_key_becomes_a_cookie_that_no_script_reads_and_no_other_site_sends(app: Runner, behind_proxy: Service) -> None:
    http, key = behind_proxy.http, await made(app, "observer")
    await eventually_closed(http)
    begun = await http.post("/ui/session", headers={**key, **elsewhere()})

    (told,) = SimpleCookie(begun.headers["set-cookie"]).values()
    assert (told.key, told["path"], told["httponly"], told["samesite"], told["secure"]) == (COOKIE, "/", True, "Strict", "")
    answer = await http.get("/ui/session", headers={"cookie": f"{COOKIE}={told.value}"})
    assert answer.json()["who"].endswith(" tester")
    assert (answer.json()["by_key"], (await http.get("/ui/door")).json()) == (True, {"by_key": True})
    assert answer.json()["scopes"] == sorted(scope.value for scope in (await app.client.keys.list())[0].scopes)


async def test_what_is_no_key_becomes_no_cookie(app: Runner, behind_proxy: Service) -> None:
    await made(app)
    await eventually_closed(behind_proxy.http)
    for headers in ({}, bearer("mr1_none"), {"cookie": f"{COOKIE}=mr1_none"}):
        answer = await behind_proxy.http.post("/ui/session", headers={**OWN, **headers, **elsewhere()})
        assert problem(answer) == (401, "unauthenticated")
        assert "set-cookie" not in answer.headers


async def test_a_cookie_alone_changes_nothing(app: Runner, behind_proxy: Service, worker: Worker) -> None:
    http, key = behind_proxy.http, await made(app)
    await eventually_closed(http)
    sent = {"cookie": f"other=1; {COOKIE}={key['authorization'].removeprefix('Bearer ')}", **elsewhere()}

    assert (await http.get("/v1/limits/slow", headers=sent)).status_code == 200
    assert problem(await http.post("/v1/limits/slow/pause", json={}, headers=sent)) == (401, "unauthenticated")
    assert (await http.get("/v1/limits/slow", headers=sent)).json()["paused"] is None
    assert (await http.post("/v1/limits/slow/pause", json={}, headers=sent | OWN)).status_code == 200


async def test_two_cookies_of_the_name_are_none(app: Runner, behind_proxy: Service) -> None:
    http, key = behind_proxy.http, (await made(app))["authorization"].removeprefix("Bearer ")
    await eventually_closed(http)

    for both in (f"{COOKIE}={key}; {COOKIE}=mr1_planted", f"{COOKIE}=mr1_planted; {COOKIE}={key}"):
        assert (await http.get("/v1/tasks", headers={"cookie": both, **elsewhere()})).status_code == 401


async def test_the_header_of_a_request_goes_before_the_cookie(app: Runner, behind_proxy: Service) -> None:
    http, key = behind_proxy.http, (await made(app))["authorization"].removeprefix("Bearer ")
    await eventually_closed(http)

    assert (await http.get("/v1/tasks", headers={"cookie": f"{COOKIE}={key}", **bearer("mr1_none"), **elsewhere()})).status_code == 401


async def test_a_key_that_is_revoked_ends_the_session(app: Runner, behind_proxy: Service) -> None:
    await made(app)
    key = await app.client.keys.create("wall", preset="observer")
    await eventually_closed(behind_proxy.http)
    sent = {"cookie": f"{COOKIE}={key.secret}", **elsewhere()}
    assert (await behind_proxy.http.get("/ui/session", headers=sent)).status_code == 200

    await app.client.keys.revoke(key.key.id)
    behind_proxy.http.headers.update(sent)
    await eventually_closed(behind_proxy.http, "/ui/session")


async def test_who_signs_out_has_no_key_any_more(service: Service) -> None:
    (told,) = SimpleCookie((await service.http.post("/ui/sign-out")).headers["set-cookie"]).values()

    assert (told.key, told.value, told["max-age"], told["path"]) == (COOKIE, "", "0", "/")


def test_below_a_prefix_and_by_https_the_cookie_is_for_that_alone() -> None:
    told = SimpleCookie(cookie({"type": "http", "path": "/a/queue/ui/session", "scheme": "https"}, "mr1_key"))[COOKIE]

    assert (told["path"], told["secure"]) == ("/a/queue/", True)
