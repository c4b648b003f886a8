"""Prices of providers that LiteLLM's map does not price, against the calculator of the list that they
are from (`genai-prices`): every model of theirs in the catalogue, times shapes of usage."""

import json
import pathlib
from datetime import datetime, timezone

from genai_prices import Usage
from genai_prices.data import providers

from test_prices import CLOSE, ours

CATALOGUE = pathlib.Path(__file__).parents[3] / "catalog" / "models.jsonl"
# The day that the catalogue was made with: docs/catalogue.md.
AT = datetime(2026, 11, 22, 5, 0, tzinfo=timezone.utc)

# Providers that LiteLLM's map does not price, and this list does.
BESIDE = {"openrouter", "huggingface", "arcee", "avian", "doubleword", "quicksilverpro"}

# Our names of usage, and theirs.
NAMES = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "searches": "web_searches",
}
SHAPES = {
    "plain": {"input": 10_000, "output": 5_000},
    "answer": {"input": 7, "output": 100_000},
    "cached": {"input": 50_000, "cache_read": 40_000, "output": 1_000},
    "cache_write": {"input": 50_000, "cache_write": 30_000, "output": 1_000},
    "cache_write_1h": {"input": 50_000, "cache_write_1h": 30_000, "output": 1_000},
    "at_200k": {"input": 200_000, "output": 2_000},
    "above_200k": {"input": 210_000, "cache_read": 100_000, "output": 2_000},
    "above_272k": {"input": 300_000, "cache_write": 50_000, "output": 2_000},
    "searches": {"input": 10_000, "output": 5_000, "searches": 3},
}


def listed():
    """Their models by our model string."""
    for provider in providers:
        first, _, rest = provider.id.partition("_")
        ours = f"{first}/{rest}/" if first == "huggingface" else f"{provider.id}/"
        for model in provider.models:
            yield ours + model.id, model


def theirs(price, shape):
    usage = {NAMES[name]: count for name, count in shape.items()}
    writes = shape.get("cache_write", 0) + shape.get("cache_write_1h", 0)
    if writes:
        usage["cache_write_tokens"] = writes
    return float(price.calc_price(Usage(**usage))["total_price"])


def test_every_price_is_the_lists():
    known = {}
    for line in CATALOGUE.read_text().splitlines():
        card = json.loads(line)
        known[f"{card['provider']}/{card['name']}"] = card
    found = [(name, model) for name, model in listed() if name in known]
    of = {name.split("/")[0] for name, _ in found}
    assert BESIDE <= of
    # Providers that both price are the other test's.
    found = [(name, model) for name, model in found if name.split("/")[0] in BESIDE]
    assert len(found) > 1_000
    asked = [
        (name, model, shape)
        for name, model in found
        for shape in SHAPES
        if not (shape == "searches" and "search" not in known[name])
    ]
    answers = ours(
        {"model": name, "at": int(AT.timestamp()), **SHAPES[shape]} for name, _, shape in asked
    )
    wrong = []
    for (name, model, shape), answer in zip(asked, answers, strict=True):
        told = theirs(model.get_prices(AT), SHAPES[shape])
        mine = float(answer["usd"]) if "usd" in answer else answer["error"]
        if not isinstance(mine, float) or abs(told - mine) > CLOSE + 1e-9 * told:
            wrong.append(f"{name} {shape}: the list {told}, Tollgate {mine}")
    print(f"{len(found)} models, {len(asked)} prices, {len(wrong)} differ")
    assert not wrong, f"{len(wrong)} prices differ:\n" + "\n".join(wrong[:50])
