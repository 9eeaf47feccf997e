"""The report: what a person reads in it, what it never lets in, and a browser that opens it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import torchcaffe
from torchcaffe.errors import InputError
from torchcaffe.layers._exactness import Exactness, accumulated, bitwise, ulp
from torchcaffe.parity.compare import Difference, compare
from torchcaffe.parity.figures import EQUAL, FAR, histograms, plot, share
from torchcaffe.parity.report import write_report
from torchcaffe.parity.verification import Row, Verification
from torchcaffe.parity.verify import verify
from torchcaffe.recording import read_recording

QUICKSTART = Path(__file__).parent.parent.parent / "examples" / "quickstart"
HOSTILE = "<script>alert(1)</script>\"'&\udc80\n\u202e"
EIGHT = accumulated(8)
BASE = np.linspace(1, 2, 24, dtype=np.float32).reshape(2, 12)


def held(scale: float, allowed: Exactness = EIGHT) -> Difference:
    """What ``BASE`` off by ``scale`` roundings is found to be."""
    return compare("x", BASE * np.float32(1 + scale * 2.0**-23), BASE, allowed)


def row(
    depth: int,
    local: Difference | None = None,
    chained: Difference | None = None,
    kind: str = "blob",
    name: str = "",
) -> Row:
    layer = name or f"layer{depth}"
    end = "/0" if "parameter" in kind else ""
    return Row(kind, layer, "Power", layer + end, BASE.shape, depth, local, chained)


def verification(*rows: Row, **more: object) -> Verification:
    values = {"notes": (), "versions": {"caffe": "1.0.0"}, "settings": {"torch": "2.13.0"}} | more
    return Verification(net="Net", phase="TEST", rows=rows, **values)  # type: ignore[arg-type]


@pytest.fixture
def page(tmp_path: Path) -> Callable[[Verification], str]:
    def written(found: Verification) -> str:
        write_report(found, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text("utf-8")

    return written


Page = Callable[[Verification], str]


def text(html: str) -> str:
    """What a person reads, in one line."""
    body = re.sub(r"<(style|script|title)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


PASSES = verification(
    row(0, kind="parameter", chained=held(0, bitwise())),
    row(1, held(0), held(1)),
    row(2, held(0, bitwise()), held(2)),
    notes=("Parameters came as checksums.",),
)
FAILS = verification(
    row(0, held(0), held(1)),
    row(1, held(0), held(900)),
    row(2, held(800), held(800)),
)


@pytest.fixture(scope="module")
def quickstart() -> Verification:
    recording = read_recording(QUICKSTART / "recording")
    net = torchcaffe.load(
        QUICKSTART / "deploy.prototxt", QUICKSTART / "weights.caffemodel",
        phase=recording.phase, inputs=recording.shapes,
    )  # fmt: skip
    return verify(net, recording)


# Words and numbers


def test_the_verdict_stands_on_top(page: Page) -> None:
    read = text(page(PASSES))
    assert read.startswith("torchcaffe verify · Net · phase TEST ✓ Passed " + PASSES.verdict)


def test_the_key_numbers(page: Page) -> None:
    read = text(page(PASSES))
    assert "Blobs compared 2 of 3 layers" in read
    assert "Equal to the last bit 0 2 when the layer is run alone" in read
    assert "Differ 0 by more than is allowed" in read
    worst = PASSES.rows[2].chained
    assert worst is not None
    assert f"Worst, of what is allowed {share(worst)} layer2, accumulated(8)" in read


def test_every_view_has_its_line(page: Page) -> None:
    html = page(PASSES)
    line = text(html[html.index('<tbody id="r2"') : html.index("</tbody>", html.index('"r2"'))])
    view = PASSES.rows[2].chained
    assert view is not None and view.met is not None
    assert line.startswith("✓ ok layer2 Power layer2 2x12 alone 0 0 bitwise bitwise 0 in the net")
    assert f"{view.max_abs:.2e} {view.max_rel:.2e} accumulated(8)" in line


def test_two_equal_views_share_a_line(page: Page) -> None:
    read = text(page(verification(row(0, held(0), held(0)))))
    assert "layer0 Power layer0 2x12 both 0 0 accumulated(8) bitwise 0" in read


def test_notes_versions_and_settings_stand_at_the_end(page: Page) -> None:
    read = text(page(PASSES))
    assert "Notes Parameters came as checksums." in read
    assert read.endswith("Caffe's side caffe 1.0.0 Our side torch 2.13.0")


def test_parameters_are_folded_where_they_agree(page: Page) -> None:
    html = page(PASSES)
    assert "Parameters" in text(html)
    assert '<details class="same">' in html and '<details class="same" open>' in html


def test_the_first_difference_is_named(page: Page) -> None:
    read = text(page(FAILS))
    view = FAILS.rows[1].chained
    assert view is not None
    assert "✗ Differs" in read
    assert (
        'The first difference blob "layer1" of layer "layer1" (Power), shape 2x12, the whole net '
        "from the recorded inputs" in read
    )
    assert f"Ours at {list(view.index)} {view.ours:.9g} Caffe's {view.theirs:.9g}" in read
    assert "Held to accumulated(8) Would pass accumulated(" in read
    assert "first difference: layer1" in read
    assert page(FAILS).count('class="differs"') == 2


def test_another_weight_also_names_the_first_blob(page: Page) -> None:
    found = verification(
        row(0, kind="parameter", chained=held(5, bitwise())), row(1, held(900), held(900))
    )
    read = text(page(found))
    assert 'The first difference parameter blob 0 of layer "layer0"' in read
    assert 'The first blob that differs blob "layer1"' in read
    assert "∞" in read


def test_what_cannot_be_compared_says_why(page: Page) -> None:
    odd = compare("x", BASE, BASE[:1], bitwise())
    read = text(page(verification(row(0, odd, odd), row(1))))
    assert "What differs shape is (2, 12), theirs is (1, 12)" in read
    assert "2 of 2 blobs differ" in read
    assert "layer1 Power layer1 2x12 not compared" in read


def test_nothing_compared_is_no_success(page: Page) -> None:
    found = verification()
    html = page(found)
    assert "✗ Nothing compared Nothing was compared: the recording holds no blob" in text(html)
    assert "Blobs compared 0" in text(html)
    assert "<table" not in html and "✓" not in html


def test_gradients_have_their_own_table_and_plot(page: Page) -> None:
    rows = [row(0, held(0), held(1)), row(0, held(1), held(1), "parameter gradient")]
    read = text(page(verification(*rows)))
    assert "Error of the gradients against depth" in read
    assert "Gradients · 1 gradients, none differs" in read


# What never gets in


def test_hostile_names_stay_text(page: Page) -> None:
    found = verification(
        row(0, held(900), held(900), name=HOSTILE),
        row(1, None, held(900), "parameter", name=HOSTILE),
        notes=(HOSTILE,),
        versions={HOSTILE: HOSTILE},
        settings={HOSTILE: HOSTILE},
    )
    html = page(replace(found, net=HOSTILE, phase=HOSTILE))
    assert html.count("<script") == 1 and "alert(1)</script>" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;") > 10
    assert r"\udc80\n\u202e" in html and "\u202e" not in html


def test_nothing_is_fetched(page: Page, quickstart: Verification) -> None:
    html = page(quickstart)
    assert not re.search(r"https?:|url\(|@import|\bsrc=|<link|<img|<iframe", html)
    assert all(target.startswith("#r") for target in re.findall(r'href="([^"]*)"', html))
    assert "default-src 'none'" in html


def test_links_lead_to_rows(page: Page, quickstart: Verification) -> None:
    html = page(quickstart)
    there = set(re.findall(r'id="(r\d+)"', html))
    assert set(re.findall(r'href="#(\w+)"', html)) <= there
    assert len(there) == len(quickstart.rows)


def test_a_real_recording_makes_a_small_file(page: Page, quickstart: Verification) -> None:
    html = page(quickstart)
    assert quickstart.verdict in text(html)
    assert len(html) < 80_000


def test_a_net_of_500_layers_stays_small(page: Page) -> None:
    rows = [row(depth, held(1), held(depth % 7)) for depth in range(500)]
    assert len(page(verification(*rows))) < 1_000_000


# Files


def test_an_older_report_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(PASSES, str(path))
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.report\.html cannot be written \(no such file"):
        write_report(PASSES, tmp_path / "none" / "report.html")


# Figures


def test_points_stand_where_they_belong() -> None:
    drawn = plot(FAILS.rows, 3)
    errors, shares = drawn.panels
    assert errors.limit is None and shares.limit is not None
    assert f"M166.7 {EQUAL:g}h.1" in errors.local
    heights = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)h.1", shares.chained)]
    assert heights[0] > shares.limit > heights[1]
    assert drawn.mark is not None and drawn.mark.label == "layer1"
    assert [column.row for column in drawn.columns] == list(FAILS.rows)


def test_far_too_much_stands_with_the_infinite() -> None:
    far = replace(held(900), needed=FAR * 1e6)
    drawn = plot([row(0, None, far), row(1, None, held(1))], 2)
    assert drawn.panels[1].ticks[-1].label == ">10⁹"
    assert share(far) == ">×10⁹"
    (first, *_) = histograms([row(0, None, replace(far, spread=((70, 3),)))])
    assert [bar.title for bar in first.bars] == ["3 elements need more than 2²⁹"]


def test_histograms_lead_with_the_first_difference() -> None:
    found = histograms(FAILS.rows, 2)
    assert [hist.row.layer for hist in found] == ["layer1", "layer2"]
    assert all(hist.elements == BASE.size and hist.limit for hist in found)
    assert found[0].differing == sum(count for _, count in found[0].view.spread)
    assert not histograms([row(0, held(0), held(0))])


@pytest.mark.parametrize(
    ("part", "said"), [(0.0, "0"), (4e-4, "<0.1%"), (0.3, "30%"), (1832.4, "×1832")]
)
def test_how_a_share_is_said(part: float, said: str) -> None:
    assert share(replace(held(1, ulp(2)), needed=2 * part)) == said


# A real browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for path in map(shutil.which, BROWSERS) if path), None)
browser = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
]


def opened(path: Path, *options: str) -> tuple[str, str]:
    """The page's elements once its script has run, and what the console said."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--enable-logging=stderr", "--allow-file-access-from-files",
            f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", *options, path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


HARNESS = """<!doctype html><body><pre id="found"></pre><iframe src="report.html"
width="{width}" height="900"></iframe><script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const page = frame.contentDocument;
  const seen = () => [...page.querySelectorAll("table.rows tbody")]
    .filter((body) => body.checkVisibility()).map((body) => body.id).join(" ");
  const lines = [seen()];
  {steps}
  document.getElementById("found").textContent = lines.join("\\n");
}});
</script></body>"""


def found_by(steps: str, folder: Path, verification: Verification, width: int = 1200) -> list[str]:
    """What a second page finds when it opens the report in a frame and acts on it."""
    write_report(verification, folder / "report.html")
    (folder / "harness.html").write_text(HARNESS.format(steps=steps, width=width))
    dom, console = opened(folder / "harness.html", "--virtual-time-budget=2000")
    assert not console
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None
    return found[1].split("\n")


class TestInABrowser:
    pytestmark = browser

    def test_it_opens_without_a_complaint(self, tmp_path: Path, quickstart: Verification) -> None:
        write_report(quickstart, tmp_path / "report.html")
        dom, console = opened(tmp_path / "report.html")
        assert quickstart.verdict in text(dom)
        assert '<button type="button"' in dom, "the script did not run"
        assert not console

    def test_hostile_names_run_nothing(self, tmp_path: Path) -> None:
        found = verification(
            row(0, held(9), held(900), name=HOSTILE + '<img src=x onerror="document.title=1">')
        )
        write_report(found, tmp_path / "report.html")
        dom, console = opened(tmp_path / "report.html")
        assert "<img" not in dom and "<title>✗ differs: Net</title>" in dom
        assert not console

    def test_the_filter_leaves_what_differs(self, tmp_path: Path) -> None:
        steps = 'page.querySelector("label[for=only]").click(); lines.push(seen());'
        assert found_by(steps, tmp_path, FAILS) == ["r0 r1 r2", "r1 r2"]

    def test_the_filter_says_that_nothing_differs(self, tmp_path: Path) -> None:
        steps = """page.querySelector("label[for=only]").click(); lines.push(seen());
        lines.push(page.querySelector(".nothing").offsetHeight > 0);"""
        assert found_by(steps, tmp_path, PASSES) == ["r1 r2", "", "true"]

    def test_a_heading_sorts_and_sorts_back(self, tmp_path: Path) -> None:
        steps = """const button = page.querySelectorAll("th button")[2];
        for (const _ of [1, 2]) { button.click(); lines.push(seen()); }"""
        assert found_by(steps, tmp_path, FAILS) == ["r0 r1 r2", "r1 r2 r0", "r0 r1 r2"]

    def test_what_cannot_be_compared_sorts_as_the_largest(self, tmp_path: Path) -> None:
        odd = compare("x", BASE, BASE[:1], bitwise())
        found = verification(
            row(0, held(900), held(900)), row(1, held(1, bitwise()), held(1, bitwise())),
            row(2, odd, odd),
        )  # fmt: skip
        steps = """for (const button of [0, 2].map((n) => page.querySelectorAll("th button")[n])) {
        button.click(); lines.push(seen()); }"""
        assert found_by(steps, tmp_path, found) == ["r0 r1 r2", "r2 r0 r1", "r1 r2 r0"]

    @pytest.mark.parametrize("width", [400, 1600])
    def test_nothing_is_wider_than_the_window(
        self, tmp_path: Path, quickstart: Verification, width: int
    ) -> None:
        steps = "lines.push(page.documentElement.scrollWidth <= frame.clientWidth);"
        assert found_by(steps, tmp_path, quickstart, width)[1] == "true"
