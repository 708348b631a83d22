"""The dashboard in a real browser, on a queue that works: every view, every act, what a key may see, a lost connection, and who uses no mouse."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.outside.served import ROOT, Served, process, served
from tests.outside.test_browser import browser as browser
from tests.servers import free_port

pytestmark = pytest.mark.slow

HOSTILE = """'"><img src=x onerror="window.hit=1"><script>window.hit=1</script>${7*7}"""
SHOP = "examples.busy_shop:jobs"
FILL = "import asyncio; from examples.busy_shop import jobs, prepare_the_scene; asyncio.run(prepare_the_scene())"
PATIENCE_MS = 30_000
VIEWS = {
    "limits": "stripe",
    "limits/stripe": "The line",
    "limits/tenant": "Hottest keys",
    "jobs": "waiting",
    "schedules": "nightly-export",
    "workers": "slots are busy",
    "flows": "import-17",
    "events": "migration to the new merchant account",
}
"""Each view, and a word that only its data brings."""
WIDER_THAN_ITS_BOX = """[...document.querySelectorAll("main .card, main .table, main .keys-panel, main .line-panel, main .figures, main .limit-table")]
    .filter((box) => box.getBoundingClientRect().right > document.documentElement.clientWidth - 10).map((box) => box.className)"""
SIZES = {"desk": (1440, 900), "tablet": (900, 1100), "phone": (360, 740)}


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with served(app=SHOP) as running:
        done = subprocess.run([sys.executable, "-c", FILL], env=running.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield running


@contextmanager
def looking(browser: Any, url: str, view: str = "limits", *, size: str = "desk", theme: str = "light") -> Iterator[Any]:
    """A page of the dashboard. What the browser complains of is an error at the end, and so is a request to anybody else."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page, said = context.new_page(), []
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else said.append(f"asked {request.url}"))
    try:
        page.goto(f"{url}/ui/#/{view}")
        yield page
        assert said == []
    finally:
        context.close()


def ask(shop: Served, path: str) -> Any:
    return httpx.get(f"{shop.url}{path}", trust_env=False, timeout=PATIENCE_MS / 1000).raise_for_status().json()


def until(condition: Callable[[], bool], page: Any) -> None:
    for _ in range(PATIENCE_MS // 100):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came to be")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_filled(browser: Any, shop: Served, view: str) -> None:
    with looking(browser, shop.url, view) as page:
        page.locator("main").get_by_text(VIEWS[view]).first.wait_for()
        page.locator(".beat").wait_for()


def test_the_line_of_a_limit_is_shown_job_by_job_and_moves(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/stripe") as page:
        page.locator(".cols-line a[data-row]").first.wait_for()
        first = page.locator(".cols-line a[data-row]").first.inner_text()
        until(lambda: page.locator(".cols-line a[data-row]").first.inner_text() != first, page)


def test_a_limit_is_changed_and_restored(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/search") as page:
        page.get_by_role("button", name="Change").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Capacity").fill("0")
        assert "at least 1" in dialog.inner_text()
        assert dialog.get_by_role("button", name="Change for all workers").is_disabled()
        dialog.get_by_label("Capacity").fill("90")
        dialog.get_by_label("Reason").fill("they gave us more")
        dialog.get_by_role("button", name="Change for all workers").click()
        page.get_by_text("they gave us more").wait_for()
        override = ask(shop, "/v1/limits/search")["override"]
        assert (override["policy"]["capacity"], override["reason"]) == (90, "they gave us more")
        page.get_by_role("button", name="Change").click()
        page.get_by_role("button", name="Restore the code's").click()
        page.get_by_text("Set by the code.").wait_for()
        assert ask(shop, "/v1/limits/search")["override"] is None


def test_a_line_is_paused_and_resumed(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/mailgun") as page:
        page.get_by_role("button", name="Pause").click()
        page.get_by_label("Reason").fill("they repair")
        page.get_by_role("button", name="Pause mailgun").click()
        page.locator(".limit-state.is-paused").wait_for()
        assert ask(shop, "/v1/limits/mailgun")["paused"]["reason"] == "they repair"
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Pause").wait_for()
        assert ask(shop, "/v1/limits/mailgun")["paused"] is None
        page.goto(f"{shop.url}/ui/#/events")
        page.get_by_text("they repair").first.wait_for()


def test_a_limit_is_frozen_and_released(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "limits/lookups") as page:
        page.get_by_role("button", name="Freeze").click()
        page.get_by_label("Seconds").fill("600")
        page.get_by_role("dialog").get_by_role("button", name="Freeze").click()
        page.get_by_role("button", name="Release").click()
        page.get_by_role("button", name="Freeze").wait_for()
        assert ask(shop, "/v1/limits/lookups")["frozen_s"] == 0


def test_jobs_are_cancelled_by_a_filter_with_their_exact_number(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "jobs?state=waiting&limit=tenant") as page:
        page.get_by_role("button", name=re.compile(r"Cancel [\d,]+ waiting…")).click()
        dialog = page.get_by_role("dialog")
        title = dialog.get_by_role("heading", name=re.compile(r"Cancel [\d,]+ jobs\?"))
        title.wait_for()
        count = int(re.sub(r"\D", "", title.inner_text()))
        button = dialog.get_by_role("button", name=re.compile("^Cancel"))
        assert count > 100
        assert button.is_disabled()
        dialog.get_by_role("textbox").fill(str(count - 1))
        assert button.is_disabled()
        dialog.get_by_role("textbox").fill(f"{count:,}")
        button.click()
        dialog.get_by_text("Finished").wait_for()
        told = [int(one.replace(",", "")) for one in re.findall(r"([\d,]+) (?:done|had changed)", dialog.inner_text())]
        assert sum(told) == count
    (bulk,) = (one for one in ask(shop, "/v1/bulk")["bulks"] if one["filter"].get("limit") == "tenant")
    assert (bulk["counted"], bulk["done"]) == (count, told[0])


def test_a_count_that_nobody_confirms_does_nothing_and_is_dropped(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "jobs?state=waiting&limit=legacy") as page:
        page.get_by_role("button", name=re.compile("Cancel 82 waiting…")).click()
        page.get_by_role("dialog").get_by_role("heading", name="Cancel 82 jobs?").wait_for()
        page.get_by_role("button", name="Leave them").click()
        until(lambda: not [one for one in ask(shop, "/v1/bulk")["bulks"] if one["ended_at"] is None], page)
    assert ask(shop, "/v1/counts?state=waiting&limit=legacy")["waiting"] == 82


def test_a_dead_letter_is_retried(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "jobs?state=failed") as page:
        page.get_by_role("button", name=re.compile("CardDeclined")).click()
        page.locator(".cols-jobs a[data-row]").first.click()
        page.locator("h1.mono").wait_for()
        page.get_by_role("heading", name="Error").wait_for()
        assert "do_not_honor" in page.locator("main").inner_text()
        job = page.locator("h1.mono").inner_text()
        attempts = ask(shop, f"/v1/jobs/{job}")["attempt"]
        page.get_by_role("button", name="Retry").click()
        until(lambda: ask(shop, f"/v1/jobs/{job}")["attempt"] > attempts or ask(shop, f"/v1/jobs/{job}")["state"] != "failed", page)


def test_a_batch_leads_to_its_jobs(browser: Any, shop: Served) -> None:
    total = ask(shop, "/v1/batches/import-17")["total"]
    with looking(browser, shop.url, "flows") as page:
        page.get_by_role("link", name="import-17", exact=True).click()
        page.get_by_role("button", name="batch import-17").wait_for()
        until(lambda: f"{total} match" in page.locator(".tools .count").inner_text(), page)


def test_a_schedule_runs_by_hand_and_is_paused(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "schedules") as page:
        page.get_by_role("button", name="Run now: nightly-export").click()
        until(lambda: ask(shop, "/v1/schedules/nightly-export")["last_job"] is not None, page)
        page.get_by_role("button", name="Pause nightly-export").click()
        page.get_by_label("Reason").fill("no disk")
        page.get_by_role("dialog").get_by_role("button", name="Pause nightly-export").click()
        page.get_by_role("button", name="Resume nightly-export").click()
        until(lambda: ask(shop, "/v1/schedules/nightly-export")["state"] == "active", page)


def test_what_the_service_refuses_is_told_in_the_dialog_which_stays(browser: Any, shop: Served) -> None:
    with browser.new_context() as context:  # the browser tells the console of the refusal, too
        page = context.new_page()
        page.goto(f"{shop.url}/ui/#/limits/stripe")
        page.route(
            "**/pause",
            lambda route: route.fulfill(
                status=409, content_type="application/problem+json", body=json.dumps({"detail": "no, said the test"})
            ),
        )
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Pause stripe").click()
        page.get_by_role("dialog").get_by_text("no, said the test").wait_for()


@pytest.mark.parametrize(
    "view", ["limits/tenant", "jobs/hostile", "events", f"limits/{quote(HOSTILE)}", "__proto__", "constructor", "%", "limits/__proto__"]
)
def test_foreign_text_and_odd_addresses_are_shown_as_text(browser: Any, shop: Served, view: str) -> None:
    sent = {"task": "sync_tenant", "args": {"tenant_id": HOSTILE}, "id": "hostile", "metadata": {"note": HOSTILE}}
    for path, body in (("/v1/jobs", sent), ("/v1/limits/sms/pause", {"reason": HOSTILE})):
        httpx.post(f"{shop.url}{path}", json=body, trust_env=False).raise_for_status()
    try:
        with looking(browser, shop.url, view) as page:
            page.locator("main h1").wait_for()
            page.wait_for_timeout(500)
            assert page.evaluate("window.hit") is None
            assert page.locator("main img, main script, main iframe").count() == 0
    finally:
        httpx.post(f"{shop.url}/v1/limits/sms/resume", trust_env=False)


def test_a_lost_connection_is_said_and_comes_back(browser: Any, shop: Served) -> None:
    log = shop.log.with_name("second.log")
    width, height = SIZES["desk"]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        with process(shop.environment, log, "listening", "api", "--port", "0") as api:
            page.goto(f"{api['url']}/ui/#/limits")
            page.locator(".beat").wait_for()
            page.get_by_role("button", name="Resume legacy").wait_for()
        page.get_by_role("alert").get_by_text("The connection to the API is lost").wait_for()
        assert page.locator("main.stale").count() == 1
        assert page.locator(".limit-row").count() > 1
        assert page.get_by_role("button", name="Resume legacy").count() == 0
        with process(shop.environment, log, "listening", "api", "--port", str(httpx.URL(api["url"]).port)):
            page.locator(".beat").wait_for()
            assert page.locator("main.stale").count() == 0
            page.get_by_role("button", name="Resume legacy").wait_for()


def test_a_key_that_only_reads_sees_no_button_and_the_service_refuses_it_too(browser: Any) -> None:
    with served(app=SHOP) as shop:
        secret = shop.command("keys", "create", "wall", "--preset", "observer")["secret"]
        until_closed = httpx.Client(base_url=shop.url, trust_env=False)
        with until_closed, browser.new_context() as context:
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            until(lambda: until_closed.get("/v1/limits").status_code == 401, page)
            page.goto(f"{shop.url}/ui/")
            page.get_by_label("Key", exact=True).fill("mr1_wrong")
            page.get_by_role("button", name="Look").click()
            page.get_by_text("no key that is accepted").wait_for()
            page.get_by_label("Key", exact=True).fill(secret)
            page.get_by_role("button", name="Look").click()
            page.get_by_text("read-only").wait_for()
            assert page.get_by_role("link", name="Events").count() == 0, "it has no right to the audit"
            page.goto(f"{shop.url}/ui/#/limits/stripe")
            page.get_by_role("heading", name="stripe").wait_for()
            assert page.get_by_role("button", name=re.compile("Pause|Change|Cancel|Freeze")).count() == 0
            assert page.evaluate("document.cookie") == ""
            status = page.evaluate(
                "async () => (await fetch('../v1/limits/stripe/pause', {method: 'POST', headers: {'X-Runner-Page': '1'}})).status"
            )
            assert status == 403
            page.get_by_role("button", name=re.compile("Sign out")).click()
            page.get_by_label("Key", exact=True).wait_for()


@pytest.fixture(scope="module")
def hosted(shop: Served) -> Iterator[str]:
    """The address of an app with users of its own."""
    port = free_port()
    words = (sys.executable, "-m", "uvicorn", "tests.outside.hosted:app", "--port", str(port), "--log-level", "warning")
    with subprocess.Popen(words, env=shop.environment, cwd=ROOT) as running:
        url = f"http://127.0.0.1:{port}"
        for _ in range(PATIENCE_MS // 100):
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/login", trust_env=False)
                break
            time.sleep(0.1)
        yield url
        running.terminate()


@pytest.mark.parametrize(("place", "described"), [("mounted", 1), ("included", 0), ("gated", 1)])
def test_an_app_with_users_of_its_own_has_the_page_inside(browser: Any, hosted: str, place: str, described: int) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{hosted}/{place}/ui/")
        page.get_by_role("heading", name="Sign in first").wait_for()
        page.get_by_text("leads to its sign-in" if place == "gated" else "sign in to the shop at /login").wait_for()
        assert page.get_by_label("Key", exact=True).count() == 0
    with browser.new_context() as context:
        context.add_cookies([{"name": "session", "value": "eve", "url": hosted}])
        page, said = context.new_page(), []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.goto(f"{hosted}/{place}/ui/")
        page.get_by_role("table", name="Limits").wait_for()
        page.get_by_text("read-only").wait_for()
        assert page.get_by_role("button", name=re.compile("Sign out")).count() == 0
        assert page.get_by_role("link", name="Workers").count() == 1
        assert page.get_by_role("link", name="Events").count() == 0
        assert page.get_by_role("link", name="HTTP API").count() == described
        assert said == []


def test_the_page_takes_six_files_a_question_who_looks_and_a_stream(browser: Any, shop: Served) -> None:
    asked: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url.removeprefix(f"{shop.url}/").partition("?")[0]))
        page.goto(f"{shop.url}/ui/")
        page.get_by_role("table", name="Limits").wait_for(timeout=PATIENCE_MS)
        page.wait_for_timeout(3_000)

    files = {"ui/", "ui/style.css", "ui/favicon.svg", "ui/js/theme.js", "ui/js/main.js", "ui/vendor/htm-preact.js"}
    assert sorted(asked) == sorted({*files, "ui/session", "v1/events"})


def test_jobs_are_counted_one_by_one_only_where_the_overview_has_no_number(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url, "jobs?state=waiting") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.locator(".tools .count b").wait_for()
        page.wait_for_timeout(1_000)
        assert [url for url in asked if "v1/counts" in url] == []
        page.get_by_label("Limit").select_option("legacy")
        until(lambda: page.locator(".tools .count").inner_text() == "82 match", page)
        assert [url for url in asked if "v1/counts" in url] != []


def test_everything_can_be_reached_by_the_keyboard(browser: Any, shop: Served) -> None:
    with looking(browser, shop.url) as page:
        page.locator("a[data-row]").first.wait_for()
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        name = page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=name, exact=True).wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("table", name="Limits").wait_for()
        for keys, heading in (("gj", "Jobs"), ("gs", "Schedules"), ("gw", "Workers"), ("gf", "Flows"), ("ge", "Events")):
            page.keyboard.type(keys)
            page.get_by_role("heading", name=heading, exact=True).wait_for()
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.tagName") == "INPUT"
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keyboard").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("t")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(browser: Any, shop: Served, node_tools: Path, theme: str, size: str) -> None:
    axe = (node_tools / "axe-core" / "axe.min.js").read_text()
    for view, word in VIEWS.items():
        with looking(browser, shop.url, view, size=size, theme=theme) as page:
            page.locator("main").get_by_text(word).first.wait_for()
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            told = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found]
            assert told == [], f"{view} {theme} {size}"


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_scrolls_sideways_however_narrow_the_window_is(browser: Any, shop: Served, view: str) -> None:
    with looking(browser, shop.url, view, size="phone") as page:
        page.locator("main").get_by_text(VIEWS[view]).first.wait_for()
        for width in (320, 360, 720, 721, 768, 1000, 1001, 1120, 1300):
            page.set_viewport_size({"width": width, "height": 640})
            page.wait_for_timeout(50)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            wide = page.evaluate(WIDER_THAN_ITS_BOX)
            assert wide == [], width
