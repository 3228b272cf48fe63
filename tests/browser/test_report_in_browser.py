"""The report of the finished smoke run in a real browser, without a network."""

import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "results/smoke/report.html"
DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif(
        DRIVER is None or BROWSER is None, reason="needs Debian's chromium and chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # a request to anywhere would fail and be logged
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
        "--window-size=1200,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=webdriver.ChromeService(DRIVER), options=options)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser):
    browser.get(REPORT.as_uri())
    return browser


def rows(page):
    return [row for row in page.find_elements(By.CSS_SELECTOR, "#ledger tbody tr") if row.is_displayed()]


def column(page, index):
    return [row.find_elements(By.TAG_NAME, "td")[index].text.split("\n")[0] for row in rows(page)]


def test_every_image_loads_and_has_an_alternative_text(page):
    images = page.find_elements(By.CSS_SELECTOR, "figure img")
    assert len(images) == len(list((ROOT / "figures/smoke").glob("*.svg")))
    for image in images:
        page.execute_script("arguments[0].scrollIntoView()", image)
        WebDriverWait(page, 20).until(
            lambda driver, image=image: driver.execute_script(
                "return arguments[0].complete && arguments[0].naturalWidth > 0", image
            )
        )
        assert len(image.get_attribute("alt")) > 20


def test_every_link_resolves_inside_the_page(page):
    links = page.find_elements(By.CSS_SELECTOR, "a[href]")
    assert links
    for link in links:
        target = link.get_attribute("href")
        assert target.startswith(REPORT.as_uri() + "#"), target
        assert page.find_elements(By.ID, target.split("#")[1]), target


def test_nothing_is_asked_of_a_network_and_the_console_is_silent(page):
    assert page.execute_script("return performance.getEntriesByType('resource').length") == len(
        page.execute_script(
            "return performance.getEntriesByType('resource').filter(e => e.name.startsWith('data:'))"
        )
    )
    assert [entry for entry in page.get_log("browser") if entry["level"] != "DEBUG"] == []


def test_the_table_sorts_by_any_column_both_ways(page):
    before = column(page, 0)
    heads = page.find_elements(By.CSS_SELECTOR, "#ledger th button")
    heads[4].click()
    assert column(page, 4) == sorted(column(page, 4))
    assert heads[4].find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    heads[4].click()
    assert column(page, 4) == sorted(column(page, 4), reverse=True)
    heads[0].click()
    assert column(page, 0) == before  # A2 before A10: the ledger's order, not the alphabet's


def test_the_table_filters_by_word_and_by_verdict(page):
    total = len(rows(page))
    page.find_element(By.ID, "search").send_keys("momentum and adam")
    assert column(page, 0) == ["B6"]
    assert page.find_element(By.ID, "shown").text == f"1 of {total} claims"
    page.find_element(By.ID, "search").clear()
    page.find_element(By.ID, "search").send_keys(" ")
    choice = Select(page.find_element(By.ID, "only"))
    verdict = choice.options[1].text
    choice.select_by_visible_text(verdict)
    assert set(column(page, 4)) == {verdict}
    choice.select_by_visible_text("all")


def test_a_figure_can_be_enlarged(page):
    button = page.find_element(By.CSS_SELECTOR, "figure button")
    page.execute_script("arguments[0].scrollIntoView()", button)
    page.execute_script("arguments[0].click()", button)
    dialog = page.find_element(By.ID, "zoom")
    assert dialog.is_displayed()
    large = dialog.find_element(By.TAG_NAME, "img")
    width = large.size["width"]
    page.execute_script(
        "const f = document.getElementById('factor'); f.value = 300; f.dispatchEvent(new Event('input'))"
    )
    assert large.size["width"] > 2 * width
    dialog.find_element(By.TAG_NAME, "button").click()
    assert not dialog.is_displayed()


def test_a_phone_needs_no_sideways_scrolling(browser):
    browser.set_window_size(390, 800)
    browser.get(REPORT.as_uri())
    too_wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    browser.set_window_size(1200, 900)
    assert too_wide <= 0


def test_it_prints_as_a_document(page):
    pdf = page.print_page()
    assert len(pdf) > 100_000  # base64 of a PDF with figures
