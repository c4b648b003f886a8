"""`tests/clients/grid.json`: which SDK does what over which upstream dialects. The tests of both
languages run each of its cells, and `docs/clients.md` shows it."""

import json

import pytest

from harness import ROOT

CELLS = json.loads((ROOT / "tests/clients/grid.json").read_text())
CONFIG = (ROOT / "tests/clients/grid.yaml").read_text()
# Where each dialect is asked.
PATHS = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-3-pro-preview:generateContent",
    "bedrock": "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
    "replicate": "/v1/models/meta/meta-llama-3-8b-instruct/predictions",
}
EMBED_PATHS = {"openai": "/v1/embeddings", "cohere": "/v2/embed", "ollama": "/api/embed"}
USED = set()


def over(sdk, what):
    """Runs a test once for each upstream dialect that the grid has for it."""
    USED.add((sdk, what))
    return pytest.mark.parametrize("model", CELLS[sdk][what])


def page():
    """`docs/clients.md`"""
    dialects = list(PATHS)
    lines = [
        "# Clients",
        "",
        "<!-- Made by tests/clients/python/test_grid.py from tests/clients/grid.json.",
        "     To renew: TOLLGATE_WRITE_DOCS=1 python -m pytest test_grid.py -k page -->",
        "",
        "The official SDKs talk through Tollgate unchanged: only base URL and key are set. Each mark below",
        "is a test that runs the SDK against the real binary with an upstream of that dialect behind it,",
        "one that refuses what the provider would refuse: `cargo xtask test`.",
        "",
        "botocore judges the other side: our signatures, the shapes of our requests to Amazon Bedrock and",
        "how we read its event streams, asked for by the clients of five dialects.",
        "",
    ]
    for sdk, rows in CELLS.items():
        lines += [f"## {sdk}", "", f"| | {' | '.join(dialects)} |", "|---|" + "---|" * len(dialects)]
        for what, cells in rows.items():
            marks = " | ".join("✓" if name in cells else "–" for name in dialects)
            lines.append(f"| {what} | {marks} |")
        lines.append("")
    return "\n".join(lines) + AGENTS


AGENTS = (ROOT / "tests/clients/agents.md").read_text()
