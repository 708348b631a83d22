"""`python -m tests.outside.screenshots`: the pictures of the dashboard in README and docs, from a shop that works, in Chromium. Takes two minutes."""

import subprocess
import sys
import time
from contextlib import closing
from importlib import import_module
from typing import Any

from tests.outside.served import ROOT, served
from tests.outside.test_browser import CHROMIUM
from tests.outside.test_dashboard import SHOP

SETTLED_S = 75
"""Until lines have formed, and the curves of the last minutes have something to show."""
PICTURES = [
    ("dashboard-limits", "limits", "light", (1440, 860)),
    ("dashboard-limit", "limits/stripe", "light", (1440, 940)),
    ("dashboard-dark", "limits/openai-tokens", "dark", (1440, 940)),
    ("dashboard-jobs", "jobs?state=failed", "light", (1440, 700)),
    ("dashboard-phone", "limits", "dark", (390, 780)),
]


def take(browser: Any, url: str) -> None:
    """All pictures, each page after it has looked for so long."""
    pages = []
    for name, view, theme, (width, height) in PICTURES:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        page = context.new_page()
        page.goto(f"{url}/ui/#/{view}")
        if "/" in view:
            page.get_by_role("button", name="5 min").click()
        pages.append((name, page))
    time.sleep(SETTLED_S)
    for name, page in pages:
        page.bring_to_front()
        page.locator(".beat").wait_for()
        page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")
        print(f"docs/images/{name}.png")


def main() -> None:
    """Start all of it, take the pictures, stop all of it."""
    with served(app=SHOP) as shop, import_module("playwright.sync_api").sync_playwright() as playwright:
        feeding = subprocess.Popen([sys.executable, "-m", "examples.busy_shop"], env=shop.environment, cwd=ROOT)
        try:
            with closing(playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])) as browser:
                take(browser, shop.url)
        finally:
            feeding.terminate()
            feeding.wait()


if __name__ == "__main__":
    main()
