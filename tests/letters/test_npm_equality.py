"""The shipped e-mails mean the same when the official npm compiler (mjml 4.18) makes them."""

import difflib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dunning_pipeline.letters.compiling import run_mjml
from dunning_pipeline.letters.markup.including import assemble
from dunning_pipeline.letters.markup.masking import mask
from tests.letters.semantic_html import tokens

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def npm_mjml() -> Path:
    """The official compiler, installed beside package.json; skips visibly without Node.js or a registry."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node.js is not installed")
    if not (NODE / "node_modules" / "mjml").is_dir():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm could not install mjml: {done.stderr[-200:]}")
    return NODE / "compile.js"


@pytest.mark.node
def test_shipped_emails_mean_the_same_as_the_official_compilers(npm_mjml, shipped):
    sources = {
        f"{source.template}.{source.language}": assemble(source.file, root=source.root)
        for source in shipped.sources()
        if source.channel == "email"
    }
    masked = {name: mask(source).text for name, source in sources.items()}
    done = subprocess.run(
        ["node", npm_mjml.name], cwd=NODE, input=json.dumps(masked), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == 28
    for name, source in sources.items():
        assert answers[name]["errors"] == [], name
        ours, theirs = tokens(run_mjml(masked[name], source)), tokens(answers[name]["html"])
        difference = "\n".join(difflib.unified_diff(theirs, ours, "npm", "ours", lineterm="", n=1))
        assert not difference, f"{name}:\n{difference[:3000]}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<p style='color:red'>a</p>", "<p style='color:blue'>a</p>"),
        ("<table><tr><td>a</td></tr></table>", "<table><tr><td>b</td></tr></table>"),
        ("<!--[if mso]><td width='10'><![endif]-->", "<!--[if mso]><td><![endif]-->x"),
        ("<style>a{b:c}</style>", "<style>a{b:d}</style>"),
        ("<img alt=''>", "<img>"),
    ],
)
def test_the_comparison_sees_what_differs(one, other):
    assert tokens(one) != tokens(other)
    assert tokens(one) == tokens(one.replace("<td>", "<td  >"))
