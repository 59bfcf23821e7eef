"""The site that `make docs` builds from the pages of this folder and from the docstrings."""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from sphinx.domains.python import PyXRefRole

import keras_proxygml


def public_names(namespace):
    """What users reach in a namespace, as (name, "class" or "function").

    These are the classes and functions that the namespace defines, or re-exports from its files.
    """
    for name, value in vars(importlib.import_module(namespace)).items():
        home = getattr(value, "__module__", None) or ""
        if not name.startswith("_") and callable(value) and f"{home}.".startswith(f"{namespace}."):
            yield name, "class" if inspect.isclass(value) else "function"


PAGES = (Path(__file__).parent / "api.md").read_text()
FULL_NAMES = {
    name: f"keras_proxygml.{namespace}.{name}"
    for namespace in re.findall(r"^   (\w+)$", PAGES, re.M)
    for name, _ in public_names(f"keras_proxygml.{namespace}")
}


class CodeOrReference(PyXRefRole):
    """Text in single backticks in a docstring: a link if it names one of ours, or else code."""

    def run(self):
        if re.fullmatch(r"[A-Za-z_][\w.]*", self.text):
            return super().run()
        return [nodes.literal(self.rawtext, self.text)], []

    def process_link(self, env, refnode, has_explicit_title, title, target):
        first, dot, rest = re.sub(r"^[a-z]+\.(?=\w)", "", target).partition(".")
        if first in FULL_NAMES:
            target = FULL_NAMES[first] + dot + rest
        return super().process_link(env, refnode, has_explicit_title, title, target)


def unresolved_is_code(app, env, node, content):
    """Shows a name that is none of ours as code, if it stood in single backticks."""
    return content if node["reftype"] == "code-or-reference" else None


def is_left_out(app, what, name, obj, skip, options):
    """Leaves out the fields of named tuples, which the class documents."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.add_role_to_domain("py", "code-or-reference", CodeOrReference())
    app.connect("missing-reference", unresolved_is_code)
    app.connect("autodoc-skip-member", is_left_out)


project = "keras_proxygml"
author = "the keras_proxygml authors"
version = release = keras_proxygml.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

# Pages are MyST Markdown, docstrings are reStructuredText in Google's style.
myst_heading_anchors = 3
default_role = "py:code-or-reference"
autosummary_context = {"public_names": public_names}
autosummary_generate = True
suppress_warnings = ["config.cache"]  # of the function in autosummary_context
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# Docstrings say which types, shapes and dtypes are allowed. Signatures would repeat them.
autodoc_typehints = "none"
napoleon_use_ivar = True  # a list of attributes, not a paragraph each
napoleon_custom_sections = [("Call arguments", "params_style"), ("Reference", "References")]

# Every name of ours must resolve. Others, such as `np.ndarray`, have no page here.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!keras_proxygml\.).*")]
# The link check lists external links and does not fetch them, so it works offline.
linkcheck_ignore = [r"https?://"]

html_theme = "furo"
html_title = "keras_proxygml"
html_show_sphinx = False
html_show_copyright = False
html_show_sourcelink = False
